-- Packets to rooms and to their service, before they are anything else: onPacket, onServicePacket, and what only asks
-- (onServiceDiscoInfo, onExamineRoom, onMetaInfoGet). Most of it is told on request only.

local jid_bare = require "util.jid".bare;
local jid_resource = require "util.jid".resource;
local dataform = require "util.dataforms";

local by = module:require "room_words".by;

local xmlns_disco_info = "http://jabber.org/protocol/disco#info";
local xmlns_owner = "http://jabber.org/protocol/muc#owner";

local packets = {};
local gate;

function packets.init(gate_)
	gate = gate_;
end

-- To an occupant, by nickname.
local function is_private(stanza)
	return stanza.name == "message" and jid_resource(stanza.attr.to);
end

local function asks_for_voice(stanza)
	local form = stanza.name == "message" and stanza:get_child("x", "jabber:x:data");
	return form and dataform.get_type(form) == "http://jabber.org/protocol/muc#request";
end

-- onPacket: a stanza to a room, before it is anything else; onServicePacket where no such room is. Private messages and
-- declines are asked about when it is known whom they reach. What only asks for a room's data is not an act in it.
function packets.stops(muc, event)
	local stanza = event.stanza;
	if stanza.attr.type == "error" or (stanza.name == "message" and not gate.has_content(stanza)) then return false; end
	if not gate.more.onPacket and not gate.more.onServicePacket and not asks_for_voice(stanza) then return false; end
	local room = muc.get_room_from_jid(jid_bare(stanza.attr.to));
	local name = room and "onPacket" or "onServicePacket";
	if not gate.more[name] and not (room and asks_for_voice(stanza)) then return false; end
	if room and is_private(stanza) then return false; end
	local attributes = room and by(room, stanza.attr.from) or { actor = stanza.attr.from };
	local stop = stanza.name == "presence" and gate.stops_presence or gate.stops;
	return stop(name, attributes, event.origin, stanza);
end

-- To the service itself, not to a room.
local function on_service_packet(event)
	local stanza = event.stanza;
	local stanza_type = stanza.attr.type;
	local is_disco = stanza.name == "iq" and stanza_type == "get" and stanza:get_child("query", xmlns_disco_info);
	local name = is_disco and "onServiceDiscoInfo" or "onServicePacket";
	if not gate.more[name] or stanza_type == "error" or stanza_type == "result" then return; end
	local stop = stanza.name == "presence" and gate.stops_presence or gate.stops;
	if stop(name, { actor = stanza.attr.from }, event.origin, stanza) then return true; end
end

local function on_examine(event)
	gate.tell("onExamineRoom", by(event.room, event.stanza.attr.from), event.stanza);
end

local function on_items(event, room)
	on_examine({ room = room, stanza = event.stanza });
end

-- An owner asks for the form of the settings.
local function on_meta_info(event, room)
	local stanza = event.stanza;
	if room:get_affiliation(stanza.attr.from) ~= "owner" then return; end
	if gate.stops("onMetaInfoGet", by(room, stanza.attr.from), event.origin, stanza) then return true; end
end

-- with_room(handler): calls it with the event and its room, where there is one.
function packets.add_host(host, with_room)
	local more = gate.more;
	for _, kind in ipairs { "message", "presence", "iq" } do
		if more.onServicePacket or more.onServiceDiscoInfo then host:hook(kind.."/host", on_service_packet, 1000); end
	end
	if more.onExamineRoom then
		host:hook("muc-disco#info", on_examine);
		host:hook("iq-get/bare/http://jabber.org/protocol/disco#items:query", with_room(on_items), 1000);
	end
	if more.onMetaInfoGet then host:hook("iq-get/bare/"..xmlns_owner..":query", with_room(on_meta_info), 1000); end
end

return packets;
