-- Attributes that the events of a room have in common.

local jid_resource = require "util.jid".resource;

-- Attributes of an event in `room`, `more` added.
local function about(room, more)
	local attributes = { room = room.jid, ["room-name"] = room.get_name and room:get_name() or nil };
	for key, value in pairs(more or {}) do attributes[key] = value; end
	return attributes;
end

local function nick_of(room, real_jid)
	local occupant_jid = real_jid and room:get_occupant_jid(real_jid);
	return occupant_jid and jid_resource(occupant_jid) or nil;
end

local function by(room, real_jid, more)
	local attributes = about(room, more);
	attributes.actor, attributes["actor-nick"] = real_jid, attributes["actor-nick"] or nick_of(room, real_jid);
	return attributes;
end

return { about = about, by = by };
