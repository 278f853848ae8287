-- Events of people and their sessions (Cisco's JSM events): login, logout, direct messages, reads of the own archive.

local jid_bare = require "util.jid".bare;
local jid_host = require "util.jid".host;
local st = require "util.stanza";

local archive_query = module:require "archive_query";

local hosts = prosody.hosts;

local users = {};

-- room_hosts: set of the hosts whose rooms report for themselves. options: verdict_timeout, evidence.
function users.init(gate, lanes, room_hosts, options)
	users.gate, users.lanes, users.room_hosts, users.options = gate, lanes, room_hosts, options;
end

-- Both people's bare addresses, in an order that does not depend on who writes.
local function pair_key(from, to)
	from, to = jid_bare(from), jid_bare(to);
	if to < from then from, to = to, from; end
	return "direct:"..from.." "..to;
end

-- Prosody leaves `to` out of what people send to themselves.
local function with_addresses(origin, stanza)
	return users.gate.as_child(stanza, stanza.attr.from or origin.full_jid,
		stanza.attr.to or (origin.username and origin.username.."@"..origin.host));
end

-- es_OUT: a message leaves a person's session. Held, unless a room asks about it itself.
local function on_outgoing_message(event)
	local origin, stanza = event.origin, event.stanza;
	local gate = users.gate;
	if stanza.attr.type == "error" or not gate.has_content(stanza) then return; end
	local copy = with_addresses(origin, stanza);
	local attributes = { ptype = "message", actor = origin.full_jid, target = copy.attr.to };
	if users.room_hosts[jid_host(copy.attr.to)] then
		if users.options.evidence.es_OUT then gate.notify("es_OUT", attributes, copy); end
		return;
	end
	local verdict = gate.ask("es_OUT", attributes, copy);
	if verdict.decision == "error" then
		gate.bounce(origin, stanza);
		return true;
	elseif verdict.decision == "handle" then
		return true;
	elseif verdict.stanza and verdict.stanza.name == "message" then
		gate.replace(stanza, verdict.stanza);
	end
end

-- True for what has not been asked about yet: from another server, from an external component.
local function comes_from_outside(origin, from)
	if origin.type == "c2s" or users.room_hosts[jid_host(from)] then return false; end
	return origin.type == "s2sin" or origin.type == "s2sout" or origin.type == "component";
end

-- e_DELIVER for what comes from outside: held. es_IN for the rest: told, never held, for one room post
-- arrives here once for each occupant.
local function on_incoming_message(handlers, name, event)
	local gate, origin, stanza = users.gate, event.origin, event.stanza;
	local from = stanza.attr.from;
	if not from or stanza.attr.type == "error" or not gate.has_content(stanza) then
		return handlers(name, event);
	end
	local to = stanza.attr.to or jid_bare(from);
	if not comes_from_outside(origin, from) then
		if users.options.evidence.es_IN then users.notify_incoming(origin, stanza, from, to); end
		return handlers(name, event);
	end
	gate.prepare(origin);
	return users.lanes.run(pair_key(from, to), {}, function ()
		local attributes = { ptype = "message", actor = from, target = to };
		if gate.stops("e_DELIVER", attributes, event.origin, event.stanza) then return true; end
		return handlers(name, event);
	end, users.options.verdict_timeout, function ()
		event = { origin = origin, stanza = st.clone(stanza), to_self = event.to_self };
	end);
end

-- A copy of a room post says whose it is; what a room shows to someone who joins (its subject, old messages)
-- is no delivery of something new.
function users.notify_incoming(origin, stanza, from, to)
	local act = users.lanes.current();
	local post = act and act.post;
	if stanza.attr.type == "groupchat" and not post then return; end
	local attributes = { ptype = "message", actor = from, target = to };
	if post and jid_bare(from) == post.room then
		attributes.actor, attributes["actor-nick"] = post.actor, post.nick;
		attributes["stanza-id"] = post.stanza_id(stanza);
	end
	users.gate.notify("es_IN", attributes, with_addresses(origin, stanza));
end

-- e_SESSION. A login waits, and goes on when no verdict comes.
local function on_login(event)
	local session = event.session;
	local attributes = { actor = session.full_jid, peer = session.ip };
	if not users.gate.can_wait() then return users.gate.tell("e_SESSION", attributes); end
	local verdict = users.gate.ask("e_SESSION", attributes);
	if verdict.decision == "handle" and session.close then
		session:close({ condition = "policy-violation", text = "This login is not permitted" });
	end
end

-- es_END. A logout is told, never held.
local function on_logout(event)
	local session = event.session;
	local reason = event.error and (event.error.condition or event.error.text or tostring(event.error)) or nil;
	users.gate.tell("es_END", { actor = session.full_jid, peer = session.ip, reason = reason });
end

-- e_OFFLINE: no session took it.
local function on_offline(event, host_name)
	local stanza = event.stanza;
	if users.options.evidence.es_IN and stanza.attr.from and users.gate.has_content(stanza) then
		local target = stanza.attr.to or event.username.."@"..host_name;
		users.gate.notify("e_OFFLINE", { ptype = "message", actor = stanza.attr.from, target = target },
			with_addresses(event.origin, stanza));
	end
end

-- onHistory without a room: a person reads the own archive (XEP-0313), all of it or what was said with `target`.
-- Without a verdict nothing is shown.
local function on_archive_query(event)
	local gate, origin, stanza = users.gate, event.origin, event.stanza;
	local attributes, with = archive_query.bounds(stanza.tags[1]);
	attributes.actor, attributes.target = stanza.attr.from, with;
	if gate.ask("onHistory", attributes, stanza).decision == "error" then
		gate.bounce(origin, stanza);
		return true;
	end
end

function users.add_host(host)
	host:hook("pre-stanza", function (event) users.gate.prepare(event.origin); end, 1000);
	for _, destination in ipairs { "bare", "full", "host" } do
		host:hook("pre-message/"..destination, on_outgoing_message, 1000);
	end
	host:wrap_event("message/bare", on_incoming_message);
	host:wrap_event("message/full", on_incoming_message);
	host:hook("message/offline/handle", function (event) on_offline(event, host.host); end, 1000);
	host:hook("iq-set/self/urn:xmpp:mam:2:query", on_archive_query, 1000);
	host:hook("resource-bind", on_login, 1000);
	-- After presence has left the rooms.
	host:hook("resource-unbind", on_logout, -1000);
end

-- Full addresses of everyone logged in.
function users.sessions(host_name)
	local addresses = {};
	for username, user in pairs(hosts[host_name].sessions) do
		for resource in pairs(user.sessions) do
			addresses[#addresses + 1] = username.."@"..host_name.."/"..resource;
		end
	end
	return addresses;
end

return users;
