-- The link to verbatim-collector: dials, shakes hands, numbers the events, keeps what is unanswered,
-- sends it again after a reconnect. The wire is described in docs/xcp-link.md.
--
-- A request (type='get') lives until its answer or its time limit; then its callback has been called,
-- exactly once. While it lives it is sent again, byte for byte, on each new connection, in the order of
-- its number. A notification (type='set') is sent or lost; its number is used up, so the collector sees
-- the gap.

local connect = require "net.connect".connect;
local resolver = require "net.resolvers.basic".new;
local new_xmpp_stream = require "util.xmppstream".new;
local sha1 = require "util.hashes".sha1;
local st = require "util.stanza";
local timer = require "util.timer";
local wall_clock = require "util.time".now;
local now = require "util.time".monotonic; -- limits run on it

local xmlns_event = "urn:x-verbatim:xcp-event:1";
local xmlns_link = "jabber:component:connect";
local handshake_timeout = 5;
-- A link on which nothing is answered for so many time limits is dialled anew.
local silent_limits = 4;
local answer_size_limit = 4 * 1024 * 1024;
-- What may wait in Prosody's memory because the collector does not read; above it nothing more is sent.
local unsent_limit = 32 * 1024 * 1024;

local link_methods = {};
local link_mt = { __index = link_methods };

local function error_verdict(reason)
	return { decision = "error", reason = reason };
end

-- "2026-11-22T16:00:00.123456Z"
local function timestamp(seconds)
	local micros = math.floor(seconds * 1000000);
	return os.date("!%Y-%m-%dT%H:%M:%S", micros // 1000000)..string.format(".%06dZ", micros % 1000000);
end

-- Text of an event with the next number. `attributes` may hold nil; `child` is a stanza or nil.
function link_methods:compose(kind, name, attributes, child)
	local seq = self.next_seq;
	self.next_seq = seq + 1;
	local id = "eb-"..self.boot.."-"..seq;
	local event = { xmlns = xmlns_event, name = name, boot = self.boot, seq = tostring(seq), time = timestamp(wall_clock()) };
	for key, value in pairs(attributes) do
		event[key] = tostring(value);
	end
	if kind == "set" then event.told = "1"; end
	local node = (name:sub(1, 2) == "on" and "tc-1." or "jsm-1.")..self.options.node;
	local xdb = st.stanza("xdb", { id = id, type = kind, from = node, to = self.options.component, ns = xmlns_event })
		:tag("event", event);
	if child then xdb:add_child(child); end
	return id, seq, tostring(xdb:reset());
end

-- Asks. callback(verdict): verdict.decision is "pass" (verdict.stanza: what to go on with, or nil),
-- "handle" (verdict.text: what the sender is told, or nil) or "error" (verdict.reason; verdict.is_answer where the collector said so, verdict.is_policy where it will not say
-- otherwise later: the error's type is not "wait"). `limit`: seconds from now.
function link_methods:request(name, attributes, child, limit, callback)
	local ok, id, seq, xml = pcall(self.compose, self, "get", name, attributes, child);
	if not ok then
		self.log("error", "An event %s could not be written: %s", name, id);
		return callback(error_verdict("not representable"));
	end
	if self.pending_count >= self.options.pending_max then
		return callback(error_verdict("too many unanswered events"));
	end
	if not self:is_active() then -- no longer than the link has been allowed to be away
		limit = math.min(limit, self.down_since + self.options.verdict_timeout - now());
	end
	if limit <= 0 then
		return callback(error_verdict("no link"));
	end
	local request = { id = id, seq = seq, xml = xml, callback = callback, since = now() };
	self.requests[seq], self.by_id[id] = request, request;
	self.pending_count = self.pending_count + 1;
	request.timer = timer.add_task(limit, function () self:expire(request); end);
	if self:is_active() then self:write(xml); end
end

-- Tells without waiting. Gives true when it was handed to the connection.
function link_methods:notify(name, attributes, child)
	local ok, _, _, xml = pcall(self.compose, self, "set", name, attributes, child);
	return ok and self:is_active() and self:write(xml);
end

function link_methods:is_active()
	return self.state == "active";
end

function link_methods:settle(request, verdict)
	if self.by_id[request.id] ~= request then return; end
	self.requests[request.seq], self.by_id[request.id] = nil, nil;
	self.pending_count = self.pending_count - 1;
	timer.stop(request.timer);
	local ok, err = xpcall(request.callback, debug.traceback, verdict);
	if not ok then self.log("error", "After an answer: %s", err); end
end

function link_methods:expire(request)
	local is_active = self:is_active();
	if is_active and self.last_heard < request.since then
		self.silent_since = self.silent_since or request.since;
	end
	-- Sent, and gone on without: that must show. A number that is never sent becomes a gap in the archive.
	if is_active then self.next_seq = self.next_seq + 1; end
	self:settle(request, error_verdict(is_active and "no answer in time" or "no link"));
	if is_active and self.silent_since and now() - self.silent_since > silent_limits * self.options.verdict_timeout then
		self:drop("the collector does not answer");
	end
end

function link_methods:write(xml)
	if self.unsent > unsent_limit then return false; end
	self.unsent = self.unsent + #xml;
	self.conn:write(xml);
	return true;
end

-- Everything unanswered, in the order of the numbers.
function link_methods:resend()
	local numbers = {};
	for seq in pairs(self.requests) do numbers[#numbers + 1] = seq; end
	table.sort(numbers);
	for _, seq in ipairs(numbers) do self:write(self.requests[seq].xml); end
	if #numbers > 0 then self.log("info", "Sent %d unanswered events again", #numbers); end
end

-- Connection ------------------------------------------------------------------------------------------

local callbacks = { default_ns = xmlns_link };

function callbacks.streamopened(session, attributes)
	session.notopen = nil;
	local id = attributes.id or "";
	session.link.conn:write("<handshake>"..sha1(id..session.link.options.secret, true).."</handshake>");
end

function callbacks.streamclosed(session)
	session.is_graceful = true;
	session.link:drop("closed by the collector");
end

function callbacks.error(session, condition, data)
	local detail = st.is_stanza(data) and data.tags[1] and data.tags[1].name or data;
	session.link:drop(condition..": "..tostring(detail));
end

-- Children of a verdict carry "jabber:client" in full; Prosody's own stanzas leave it out.
local function without_client_namespace(stanza)
	if stanza.attr.xmlns == "jabber:client" then stanza.attr.xmlns = nil; end
	for _, child in ipairs(stanza.tags) do without_client_namespace(child); end
	return stanza;
end

local function read_verdict(xdb)
	if xdb.attr.type == "error" then
		local err = xdb:get_child("error");
		local text = err and err:get_text();
		return { decision = "error", reason = text ~= "" and text or "refused", is_answer = true,
			is_policy = err and err.attr.type and err.attr.type ~= "wait" };
	end
	local pass = xdb:get_child("pass", xmlns_event);
	if pass then
		return { decision = "pass", stanza = pass.tags[1] and without_client_namespace(st.clone(pass.tags[1])) };
	end
	local handle = xdb:get_child("handle", xmlns_event);
	if handle then
		local text = handle:get_text();
		return { decision = "handle", text = text ~= "" and text or nil };
	end
	return error_verdict("answer not understood");
end

function callbacks.handlestanza(session, stanza)
	local link = session.link;
	link.last_heard, link.silent_since = now(), nil;
	if stanza.name == "handshake" then
		link:activate();
	elseif stanza.name == "xdb" and link:is_active() then
		local request = link.by_id[stanza.attr.id];
		if request then -- else: answered late
			link:settle(request, read_verdict(stanza));
		end
	end -- all else (presence of components, disco) is none of ours
end

function link_methods:activate()
	self.state, self.back_off = "active", self.options.reconnect_min;
	self.log("info", "Linked with the collector as %s", self.options.component);
	self:resend();
	self.on_active();
end

local listener = {};
local links = {}; -- connection -> link

function listener.onconnect(conn)
	local link = links[conn];
	link.conn, link.state, link.unsent, link.last_heard, link.silent_since = conn, "handshake", 0, now(), nil;
	link.session = { link = link, notopen = true };
	link.stream = new_xmpp_stream(link.session, callbacks, answer_size_limit);
	conn:setoption("keepalive", true);
	conn:setoption("tcp-nodelay", true);
	conn:write("<?xml version='1.0'?>"..st.stanza("stream:stream", {
		xmlns = xmlns_link, ["xmlns:stream"] = "http://etherx.jabber.org/streams",
		from = link.options.component }):top_tag());
	timer.add_task(handshake_timeout, function ()
		if link.conn == conn and link.state == "handshake" then link:drop("no handshake"); end
	end);
end

function listener.onincoming(conn, data)
	local link = links[conn];
	if not link or link.conn ~= conn then return; end
	local ok, err = link.stream:feed(data);
	if not ok and link.conn == conn then link:drop(err or "not well-formed"); end
end

function listener.ondrain(conn)
	local link = links[conn];
	if link then link.unsent = 0; end
end

function listener.ondisconnect(conn, reason)
	local link = links[conn];
	links[conn] = nil;
	if link and link.conn == conn then link:drop(reason or "connection closed"); end
end

function listener.onattach(conn, link)
	links[conn] = link;
end

function listener.onfail(link, reason)
	link:drop(reason);
end

-- Ends the connection, if any, and dials again.
function link_methods:drop(reason)
	local conn, was_active, session = self.conn, self:is_active(), self.session;
	self.conn, self.session, self.stream = nil, nil, nil;
	if was_active then self.down_since = now(); end
	self.state = "down";
	if conn then
		conn:write("</stream:stream>");
		conn:close();
	end
	if self.is_stopped then return; end
	local delay = self.back_off;
	if was_active and session and session.is_graceful then
		delay = 0;
	else
		self.back_off = math.min(self.back_off * 2, self.options.reconnect_max);
	end
	self.log(was_active and "warn" or "debug", "No link with the collector (%s), dialling in %g s", tostring(reason), delay);
	timer.add_task(delay, function () self:dial(); end);
end

function link_methods:dial()
	if self.is_stopped or self.state ~= "down" then return; end
	self.state = "dialling";
	connect(resolver(self.options.host, self.options.port, "tcp"), listener, nil, self);
end

function link_methods:stop()
	self.is_stopped = true;
	self:drop("stopping");
end

-- options: host, port, component, secret, node, verdict_timeout, reconnect_min, reconnect_max, pending_max.
-- on_active(): called after each handshake, when everything unanswered has been sent again.
local function new(options, log, on_active)
	return setmetatable({
		options = options, log = log, on_active = on_active, state = "down", down_since = now(),
		boot = string.format("%d", math.floor(wall_clock() * 1000000)), next_seq = 1, last_heard = 0, unsent = 0,
		requests = {}, by_id = {}, pending_count = 0, back_off = options.reconnect_min,
	}, link_mt);
end

return { new = new };
