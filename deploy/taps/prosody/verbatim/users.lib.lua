-- Events of people and their sessions (Cisco's JSM events): login, logout, stanzas from and to them, reads of the own archive.

local jid_bare = require "util.jid".bare;
local jid_host = require "util.jid".host;
local st = require "util.stanza";

local archive_query = module:require "archive_query";

local hosts = prosody.hosts;
local xmlns_disco_info = "http://jabber.org/protocol/disco#info";

local users = {};

-- room_hosts: set of the hosts whose rooms report for themselves. options: verdict_timeout, evidence, packets.
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

local subscriptions = { subscribe = true, subscribed = true, unsubscribe = true, unsubscribed = true };

-- Cisco's packet type of a stanza.
local function packet_type(stanza)
	return stanza.name == "presence" and subscriptions[stanza.attr.type] and "subscription" or stanza.name;
end

local function is_wanted(stanza)
	if stanza.name == "message" then return users.gate.has_content(stanza); end
	return stanza.attr.type ~= "error" and users.options.packets[packet_type(stanza)];
end

-- True when the stanza stops here.
local function stops(name, attributes, event, child)
	local stop = event.stanza.name == "presence" and users.gate.stops_presence or users.gate.stops;
	return stop(name, attributes, event.origin, event.stanza, child);
end

-- es_OUT: a stanza leaves a person's session. Held, unless it is a post: of those the room asks itself, as onBeforeSend, which
-- the system's default profile has. A private message it does not have but as es_OUT.
local function on_outgoing(event)
	local origin, stanza = event.origin, event.stanza;
	local gate, options = users.gate, users.options;
	if not is_wanted(stanza) then return; end
	local copy = with_addresses(origin, stanza);
	local attributes = { ptype = packet_type(stanza), actor = origin.full_jid, target = copy.attr.to };
	local is_private = stanza.name == "message" and stanza.attr.type ~= "groupchat";
	if users.room_hosts[jid_host(copy.attr.to)] and not is_private and not gate.more.es_OUT then
		if options.evidence.es_OUT then gate.notify("es_OUT", attributes, copy); end
		return;
	end
	if stops("es_OUT", attributes, event, copy) then return true; end
end

-- True for what has not been asked about yet: from another server, from an external component.
local function comes_from_outside(origin, from)
	if origin.type == "c2s" or users.room_hosts[jid_host(from)] then return false; end
	return origin.type == "s2sin" or origin.type == "s2sout" or origin.type == "component";
end

-- es_IN: a stanza reaches a person. What comes from outside is held, as e_DELIVER first: one of the two is the record,
-- whatever the profile in force has. The rest is told, for one room post arrives here once for each occupant; on request
-- what one person sends to another is held, too.
local function on_incoming(handlers, name, event)
	local gate, origin, stanza = users.gate, event.origin, event.stanza;
	local from = stanza.attr.from;
	if not from or not is_wanted(stanza) then return handlers(name, event); end
	local to = stanza.attr.to or jid_bare(from);
	local is_outside = comes_from_outside(origin, from);
	local is_held = is_outside or (gate.more.es_IN and stanza.attr.type ~= "groupchat" and gate.can_wait());
	if not is_held then
		if users.options.evidence.es_IN then users.notify_incoming(origin, stanza, from, to); end
		return handlers(name, event);
	end
	gate.prepare(origin);
	return users.lanes.run(pair_key(from, to), {}, function ()
		local attributes = { ptype = packet_type(stanza), actor = from, target = to };
		if is_outside and stops("e_DELIVER", attributes, event) then return true; end
		if stops("es_IN", attributes, event, with_addresses(event.origin, event.stanza)) then return true; end
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
	local attributes = { ptype = packet_type(stanza), actor = from, target = to };
	if post and jid_bare(from) == post.room then
		attributes.actor, attributes["actor-nick"] = post.actor, post.nick;
		attributes["stanza-id"] = post.stanza_id(stanza);
	end
	users.gate.notify("es_IN", attributes, with_addresses(origin, stanza));
end

-- Accounts and logins ---------------------------------------------------------------------------------

-- e_AUTH has happened when Prosody says so; a failure names nobody.
local function on_authenticated(event)
	local session = event.session;
	local actor = session.username and session.host and session.username.."@"..session.host;
	users.gate.tell("e_AUTH", { ptype = "iq", actor = actor, peer = session.ip, reason = event.condition or "success" });
end

local function on_registering(event)
	local kind, condition = users.gate.refusal("e_REGISTER", { ptype = "iq", actor = event.username.."@"..event.host,
		peer = event.ip });
	if not kind then return; end
	event.allowed, event.error = false, { type = kind, condition = condition };
	return true;
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

-- e_OFFLINE: no session took it. Told; on request held, before it is kept for later.
local function on_offline(event, host_name)
	local stanza, gate = event.stanza, users.gate;
	if not stanza.attr.from or not gate.has_content(stanza) then return; end
	local copy = with_addresses(event.origin, stanza);
	local target = stanza.attr.to or event.username.."@"..host_name;
	local attributes = { ptype = "message", actor = stanza.attr.from, target = target };
	if gate.more.e_OFFLINE and gate.can_wait() then
		if gate.stops("e_OFFLINE", attributes, event.origin, stanza, copy) then return true; end
	elseif users.options.evidence.es_IN then
		gate.notify("e_OFFLINE", attributes, copy);
	end
end

-- To the server ---------------------------------------------------------------------------------------

local function is_disco_info(stanza)
	return stanza.name == "iq" and stanza.attr.type == "get" and stanza:get_child("query", xmlns_disco_info);
end

local function asks_server(name, event)
	local stanza = event.stanza;
	local attributes = { ptype = packet_type(stanza), actor = stanza.attr.from, target = stanza.attr.to };
	if stops(name, attributes, event, with_addresses(event.origin, stanza)) then return true; end
end

-- e_SERVER: to the server's own address; e_DISCOFEAT: the features of the server or of a person's account.
local function on_to_server(event)
	local stanza_type = event.stanza.attr.type;
	local name = is_disco_info(event.stanza) and "e_DISCOFEAT" or "e_SERVER";
	if not users.gate.more[name] or stanza_type == "error" or stanza_type == "result" then return; end
	return asks_server(name, event);
end

local function on_to_account(event)
	if is_disco_info(event.stanza) then return asks_server("e_DISCOFEAT", event); end
end

-- onHistory without a room: a person reads the own archive (XEP-0313), all of it or what was said with `target`.
-- Without a verdict nothing is shown.
local function on_archive_query(event)
	local gate, origin, stanza = users.gate, event.origin, event.stanza;
	local attributes, with = archive_query.bounds(stanza.tags[1]);
	attributes.actor, attributes.target = stanza.attr.from, with;
	local verdict = gate.ask("onHistory", attributes, stanza);
	if verdict.decision == "error" then
		gate.bounce(origin, stanza, nil, verdict);
		return true;
	end
end

function users.add_host(host)
	host:hook("pre-stanza", function (event) users.gate.prepare(event.origin); end, 1000);
	local packets, more = users.options.packets, users.gate.more;
	for kind in pairs { message = true, presence = packets.presence or packets.subscription, iq = packets.iq } do
		for _, destination in ipairs { "bare", "full", "host" } do
			host:hook("pre-"..kind.."/"..destination, on_outgoing, 1000);
		end
		host:wrap_event(kind.."/full", on_incoming);
		-- An <iq/> to an account is for the server, in that person's name.
		if kind ~= "iq" then host:wrap_event(kind.."/bare", on_incoming); end
	end
	for _, kind in ipairs { "message", "presence", "iq" } do
		if more.e_SERVER or more.e_DISCOFEAT then host:hook(kind.."/host", on_to_server, 1000); end
	end
	if more.e_DISCOFEAT then host:hook("iq/bare", on_to_account, 1000); end
	if more.e_AUTH then
		host:hook("authentication-success", on_authenticated);
		host:hook("authentication-failure", on_authenticated);
	end
	-- After the checks of others.
	host:hook("user-registering", on_registering, -1000);
	host:hook("message/offline/handle", function (event) return on_offline(event, host.host); end, 1000);
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
