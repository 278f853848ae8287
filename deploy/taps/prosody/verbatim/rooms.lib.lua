-- Events of rooms (Cisco's TC events) on a MUC component.
--
-- All stanzas that can change a room go through the room's lane, so what is archived has the order in
-- which occupants see it. The act in the lane carries what later hooks of the same stanza need to know:
-- who sent it, whether a join or a nickname change is under way.

local jid_bare = require "util.jid".bare;
local jid_resource = require "util.jid".resource;
local datetime = require "util.datetime";
local st = require "util.stanza";

local archive_query = module:require "archive_query";
local packets = module:require "packets";
local room_words = module:require "room_words";

local about, by = room_words.about, room_words.by;

local xmlns_muc_user = "http://jabber.org/protocol/muc#user";
local xmlns_owner = "http://jabber.org/protocol/muc#owner";
local xmlns_mam = "urn:xmpp:mam:2";
local xmlns_sid = "urn:xmpp:sid:0";

-- After Prosody's own checks (ban -10, lock -30), before anything happens.
local after_checks = -500;

local rooms = {};
local gate, lanes, options;

-- options: verdict_timeout.
function rooms.init(gate_, lanes_, options_)
	gate, lanes, options = gate_, lanes_, options_;
	packets.init(gate);
end

local function is_subject_change(stanza)
	return stanza:get_child("subject") and not stanza:get_child("body") and not stanza:get_child("thread");
end

-- Lanes -----------------------------------------------------------------------------------------------

-- Gives the wrapper of a room host's stanza events; stops(event): asked first, true where the stanza goes no further.
local function in_lane(stops)
	return function (handlers, name, event)
		local origin, stanza = event.origin, event.stanza;
		if not stanza.attr.to then return handlers(name, event); end
		gate.prepare(origin);
		if stanza.name == "iq" and stanza.attr.type ~= "set" then
			return stops(event) or handlers(name, event);
		end
		local act = { from = stanza.attr.from, origin = origin };
		return lanes.run("room:"..jid_bare(stanza.attr.to), act, function ()
			return stops(event) or handlers(name, event);
		end, options.verdict_timeout, function ()
			event = { origin = origin, stanza = st.clone(stanza), to_self = event.to_self };
		end);
	end
end

local function current_act()
	return lanes.current() or {};
end

-- Creation and end ------------------------------------------------------------------------------------

local function on_before_create(event)
	local room, stanza = event.room, event.stanza;
	local attributes = about(room, { actor = stanza.attr.from, ["actor-nick"] = jid_resource(stanza.attr.to),
		persistent = room:get_persistent() and 1 or 0 });
	if gate.stops("onBeforeRoomCreate", attributes, event.origin, stanza) then return true; end
end

local function on_after_create(event)
	local room = event.room;
	local attributes = by(room, event.stanza and event.stanza.attr.from, { persistent = room:get_persistent() and 1 or 0 });
	gate.tell("onAfterRoomCreate", attributes, event.stanza);
end

-- An owner's, or an administrator's: then nobody is known to have done it.
local function on_destroy(event)
	local room, act = event.room, current_act();
	local attributes = by(room, act.from, { reason = event.reason, alternate = event.newjid });
	local kind = gate.refusal("onDestroy", attributes);
	if not kind then return; end
	event.allowed, event.error = false, kind;
	return true;
end

-- Without the word of an owner: the last one has left a room that is not persistent.
local function on_destroyed(event)
	if not event.room.destroying then gate.tell("onClose", about(event.room, { reason = event.reason })); end
end

-- Joining and leaving ---------------------------------------------------------------------------------

-- A change of a person in a room that has an event of its own is told as a change, too, on request.
local function tell_more(name, what, attributes, stanza)
	if not gate.more[name] then return; end
	local copy = { what = what };
	for key, value in pairs(attributes) do copy[key] = value; end
	gate.tell(name, copy, stanza);
end

local function on_before_join(event, forget)
	local room, stanza, act = event.room, event.stanza, current_act();
	local nick = jid_resource(event.occupant.nick);
	local attributes = about(room, { actor = stanza.attr.from, ["actor-nick"] = nick, role = event.occupant.role,
		affiliation = room:get_affiliation(stanza.attr.from) or "none" });
	local function is_stopped()
		attributes.what = "join";
		if gate.more.onBeforeChangeUser and gate.stops("onBeforeChangeUser", attributes, event.origin, stanza) then return true; end
		attributes.what = nil;
		return gate.stops("onBeforeJoin", attributes, event.origin, stanza);
	end
	if is_stopped() then
		if event.is_new_room then forget(room); end
		return true;
	end
	act.joining = stanza.attr.from;
end

local function on_after_join(event)
	local room, occupant, act = event.room, event.occupant, current_act();
	if act.joining ~= event.jid then return; end -- one who is there already asks for the occupants again
	act.joining = nil;
	local attributes = about(room, { actor = event.jid, ["actor-nick"] = jid_resource(occupant.nick),
		role = occupant.role, affiliation = room:get_affiliation(event.jid) or "none" });
	gate.tell("onAfterJoin", attributes);
	tell_more("onAfterChangeUser", "join", attributes);
end

local status_reasons = { ["301"] = "banned", ["307"] = "kicked", ["321"] = "affiliation changed", ["322"] = "members only",
	["332"] = "service shutdown", ["333"] = "removed by the service" };

-- Why an occupant is shown as gone: the status text of the presence, or what the service says of it.
local function leave_reason(event)
	for status in event.x:childtags("status") do
		local reason = status_reasons[status.attr.code];
		if reason then return event.reason and reason..": "..event.reason or reason; end
	end
	return event.reason or event.stanza:get_child_text("status");
end

-- Told for each of the occupant's sessions.
local function on_left(event)
	local room, occupant, act = event.room, event.occupant, current_act();
	if act.changing_nick then return; end
	local known = room._verbatim_leaving or {};
	room._verbatim_leaving = nil;
	for real_jid in occupant:each_session() do
		local attributes = about(room, { actor = real_jid, ["actor-nick"] = jid_resource(occupant.nick),
			reason = room.destroying and "room destroyed" or known[occupant.nick] });
		gate.tell("onLeave", attributes);
		tell_more("onAfterChangeUser", "leave", attributes);
	end
end

-- One of several sessions of an occupant leaves; the last one is seen by on_left.
local function on_before_leave(event)
	local stanza = event.stanza;
	local attributes = about(event.room, { actor = stanza.attr.from, ["actor-nick"] = jid_resource(event.occupant.nick),
		reason = stanza:get_child_text("status") });
	tell_more("onBeforeChangeUser", "leave", attributes);
	if event.is_last_session then return; end
	gate.tell("onLeave", attributes);
	tell_more("onAfterChangeUser", "leave", attributes);
end

-- Nickname and role -----------------------------------------------------------------------------------

local function on_before_change(event)
	local room, stanza, act = event.room, event.stanza, current_act();
	local old, new = jid_resource(event.orig_occupant.nick), jid_resource(event.dest_occupant.nick);
	if old == new then -- of availability: no outage blocks it
		local attributes = about(room, { what = "presence", actor = stanza.attr.from, ["actor-nick"] = old });
		if not gate.more.onBeforeChangeUser then return; end
		return gate.stops_presence("onBeforeChangeUser", attributes, event.origin, stanza) or nil;
	end
	local attributes = about(room, { what = "nick", actor = stanza.attr.from, ["actor-nick"] = old,
		["old-nick"] = old, ["new-nick"] = new });
	if gate.stops("onBeforeChangeUser", attributes, event.origin, stanza) then return true; end
	act.changing_nick = { from = stanza.attr.from, old = old, new = new, dest = event.dest_occupant.nick };
end

-- Fires for every presence that the room shows: where a new nickname or role has become a fact.
local function on_shown(event)
	local room, occupant, act = event.room, event.occupant, current_act();
	local roles = room._verbatim_roles or {};
	room._verbatim_roles = roles;
	local old, new = roles[occupant.nick], occupant.role;
	roles[occupant.nick] = new;
	local change = act.changing_nick;
	if change and change.dest == occupant.nick then
		act.changing_nick = nil;
		gate.tell("onAfterChangeUser", about(room, { what = "nick", actor = change.from, ["actor-nick"] = change.new,
			["old-nick"] = change.old, ["new-nick"] = change.new }));
	elseif not new then
		room._verbatim_leaving = { [occupant.nick] = leave_reason(event) };
	elseif old and old ~= new then
		gate.tell("onAfterChangeUser", by(room, event.actor, { what = "role", target = occupant.jid,
			["target-nick"] = jid_resource(occupant.nick), role = new, ["old-role"] = old, reason = event.reason }));
	elseif old then
		tell_more("onAfterChangeUser", "presence", about(room, { actor = occupant.jid,
			["actor-nick"] = jid_resource(occupant.nick) }), gate.as_child(event.stanza, occupant.jid, occupant.nick));
	end
end

local function on_before_role(event)
	local room, occupant = event.room, event.occupant;
	local kind, condition = gate.refusal("onBeforeChangeUser", by(room, event.actor, { what = "role", target = occupant.jid,
		["target-nick"] = jid_resource(occupant.nick), role = event.role or "none", ["old-role"] = occupant.role }));
	if not kind then return; end
	event.allowed, event.error, event.condition = false, kind, condition;
	return true;
end

-- Affiliation -----------------------------------------------------------------------------------------

local function affiliation_attributes(event)
	return by(event.room, event.actor, { target = event.jid, affiliation = event.affiliation,
		["old-affiliation"] = event.previous_affiliation, reason = event.reason });
end

local function affiliation_event(phase, event)
	return "on"..phase..(event.affiliation == "none" and "RemoveAffiliation" or "ChangeAffiliation");
end

-- What the service does by itself (the creator becomes the owner) is told, not asked.
local function on_before_affiliation(event)
	local name = affiliation_event("Before", event);
	if not event.actor then return gate.tell(name, affiliation_attributes(event)); end
	local kind, condition = gate.refusal(name, affiliation_attributes(event));
	if not kind then return; end
	event.allowed, event.error = false, { type = kind, condition = condition };
	return true;
end

local function on_after_affiliation(event)
	gate.tell(affiliation_event("After", event), affiliation_attributes(event));
end

-- Messages --------------------------------------------------------------------------------------------

local function room_stanza_id(room_jid)
	return function (stanza)
		for child in stanza:childtags("stanza-id", xmlns_sid) do
			if child.attr.by == room_jid then return child.attr.id; end
		end
	end
end

local function on_before_send(event)
	local room, stanza, act = event.room, event.stanza, current_act();
	if not event.occupant or not gate.has_content(stanza) then return; end
	local nick = jid_resource(event.occupant.nick);
	local is_subject = is_subject_change(stanza);
	local attributes = about(room, { actor = event.from, ["actor-nick"] = nick });
	if gate.stops(is_subject and "onBeforeSubject" or "onBeforeSend", attributes, event.origin, stanza) then return true; end
	act.post = { room = room.jid, actor = event.from, nick = nick, is_subject = is_subject,
		stanza_id = room_stanza_id(room.jid) };
end

-- The room is about to show a message. A refusal here still reaches the sender as an error.
local function on_before_broadcast(event)
	local room, stanza, act = event.room, event.stanza, current_act();
	local post = act.post;
	if is_subject_change(stanza) then
		gate.tell("onAfterSubject", by(room, post and post.actor, { ["actor-nick"] = post and post.nick }), stanza);
	elseif not post then -- the service speaks
		if stanza:get_child("body") then gate.tell("onBeforeBroadcast", about(room), stanza); end
	else
		local attributes = about(room, { actor = post.actor, ["actor-nick"] = post.nick });
		local verdict = gate.ask("onBeforeBroadcast", attributes, stanza);
		if gate.applies(verdict, act.origin, stanza, post.actor) then return true; end
	end
end

local function on_private_message(event)
	local room, stanza, act = event.room, event.stanza, current_act();
	if not gate.has_content(stanza) then return; end
	local recipient = room:get_occupant_by_nick(stanza.attr.to);
	local attributes = by(room, act.from, { target = recipient and recipient.jid, ["target-nick"] = jid_resource(stanza.attr.to) });
	if gate.applies(gate.ask("onPacket", attributes, stanza), event.origin, stanza, act.from) then return false; end
end

-- Invitations -----------------------------------------------------------------------------------------

local function invite_attributes(room, stanza, word)
	local payload = stanza:get_child("x", xmlns_muc_user):get_child(word);
	return by(room, stanza.attr.from, { target = payload.attr.to, reason = payload:get_child_text("reason") });
end

local function on_before_invite(event)
	local function invitation() return event.stanza:get_child("x", xmlns_muc_user):get_child("invite"); end
	local attributes, first = invite_attributes(event.room, event.stanza, "invite"), invitation();
	if gate.stops("onBeforeInvite", attributes, event.origin, event.stanza) then return true; end
	-- Prosody goes on with the invitation that it has read before it asked.
	local changed = invitation();
	if changed and changed ~= first then gate.replace(first, changed); end
end

local function on_after_invite(event)
	gate.tell("onAfterInvite", invite_attributes(event.room, event.incoming, "invite"), event.incoming);
end

local function on_before_decline(event)
	local attributes = invite_attributes(event.room, event.stanza, "decline");
	if gate.stops("onPacket", attributes, event.origin, event.stanza) then return true; end
end

-- History and configuration ---------------------------------------------------------------------------

-- On every join that asks for history. Without a verdict the history is withheld, the join stands.
local function on_history(event)
	if event.maxstanzas == 0 or event.maxchars == 0 then return; end
	local verdict = gate.ask("onHistory", by(event.room, event.to, { ["history-max"] = event.maxstanzas,
		["history-from"] = event.since and datetime.datetime(event.since) }), event.stanza);
	if verdict.decision == "error" then return true; end
end

-- XEP-0313: a query of the room's archive.
local function on_archive_query(event, room)
	local stanza = event.stanza;
	local attributes = by(room, stanza.attr.from, archive_query.bounds(stanza.tags[1]));
	local verdict = gate.ask("onHistory", attributes, stanza);
	if verdict.decision == "error" then
		gate.bounce(event.origin, stanza, nil, verdict);
		return true;
	end
end

local function on_before_configure(event, room)
	local stanza = event.stanza;
	local form = stanza.tags[1]:get_child("x", "jabber:x:data");
	if not form or form.attr.type ~= "submit" or room:get_affiliation(stanza.attr.from) ~= "owner" then return; end
	if gate.stops("onBeforeMetaInfoSet", by(room, stanza.attr.from), event.origin, stanza) then return true; end
end

local function on_after_configure(event)
	gate.tell("onAfterMetaInfoSet", by(event.room, event.actor), event.stanza);
end

-- Hooks -----------------------------------------------------------------------------------------------

function rooms.add_host(host)
	local muc = host:depends("muc");
	local function forget(room)
		muc.forget_room(room);
		muc.delete_room(room);
	end
	local function with_room(handler)
		return function (event)
			local room = muc.get_room_from_jid(jid_bare(event.stanza.attr.to));
			if room then return handler(event, room); end
		end
	end
	local in_its_lane = in_lane(function (event) return packets.stops(muc, event); end);
	for _, kind in ipairs { "message", "presence", "iq" } do
		host:wrap_event(kind.."/bare", in_its_lane);
		host:wrap_event(kind.."/full", in_its_lane);
	end
	packets.add_host(host, with_room);
	-- Between the defaults (1, 0) and the owner's affiliation (-1).
	host:hook("muc-room-pre-create", on_before_create, -0.5);
	host:hook("muc-room-created", on_after_create, 1000);
	host:hook("muc-pre-room-destroy", on_destroy, -1000);
	host:hook("muc-room-destroyed", on_destroyed, 1000);
	host:hook("muc-occupant-pre-join", function (event) return on_before_join(event, forget); end, after_checks);
	host:hook("muc-occupant-session-new", on_after_join, 1000);
	host:hook("muc-occupant-pre-leave", on_before_leave, -1000);
	host:hook("muc-occupant-left", on_left, 1000);
	host:hook("muc-occupant-pre-change", on_before_change, after_checks);
	host:hook("muc-broadcast-presence", on_shown, 1000);
	host:hook("muc-pre-set-role", on_before_role, -1000);
	host:hook("muc-pre-set-affiliation", on_before_affiliation, -1000);
	host:hook("muc-set-affiliation", on_after_affiliation, 1000);
	-- Below the check for a voice (50), above the change of the subject (20).
	host:hook("muc-occupant-groupchat", on_before_send, 30);
	-- Above the histories (0): what is refused is not remembered either.
	host:hook("muc-broadcast-message", on_before_broadcast, 10);
	host:hook("muc-private-message", on_private_message, 1000);
	host:hook("muc-pre-invite", on_before_invite, after_checks);
	host:hook("muc-invite", on_after_invite, -1000);
	host:hook("muc-pre-decline", on_before_decline, after_checks);
	host:hook("muc-get-history", on_history, 1000);
	host:hook("iq-set/bare/"..xmlns_mam..":query", with_room(on_archive_query), 1000);
	host:hook("iq-set/bare/"..xmlns_owner..":query", with_room(on_before_configure), 1000);
	host:hook("muc-config-submitted", on_after_configure, -1000);
	return muc;
end

return rooms;
