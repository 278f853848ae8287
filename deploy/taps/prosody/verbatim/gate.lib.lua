-- The gate: asks the collector about a stanza or an act, holds it until the verdict, bounces it when none
-- comes in time.

local async = require "util.async";
local st = require "util.stanza";
local timer = require "util.timer";
local now = require "util.time".monotonic;

local bounce_text = "Not delivered: it could not be archived in time. Please try again later.";

-- Elements that carry nothing said: XEP-0085, 0184, 0333, 0334, 0359, 0203, 0421.
local silent = {
	["http://jabber.org/protocol/chatstates"] = true, ["urn:xmpp:receipts"] = true, ["urn:xmpp:chat-markers:0"] = true,
	["urn:xmpp:hints"] = true, ["urn:xmpp:sid:0"] = true, ["urn:xmpp:delay"] = true,
	["urn:xmpp:occupant-id:0"] = true,
};

local gate = {};

-- An empty one marks a private message (XEP-0045, section 7.5).
local function is_mark(child)
	return child.attr.xmlns == "http://jabber.org/protocol/muc#user" and #child.tags == 0;
end

-- False for typing notices, receipts and the like, and for an error that says only what went wrong: one with words in it
-- is delivered as any message.
function gate.has_content(stanza)
	local is_error = stanza.attr.type == "error";
	for _, child in ipairs(stanza.tags) do
		local is_bare = child.name == "thread" or (is_error and (child.name == "error" or is_mark(child)));
		if not is_bare and not silent[child.attr.xmlns or "jabber:client"] then return true; end
	end
	return false;
end

-- A copy that says where it comes from and goes to, as it travels in an event.
local function as_child(stanza, from, to)
	if not stanza then return nil; end
	local copy = st.clone(stanza);
	copy.attr.xmlns = "jabber:client";
	copy.attr.from, copy.attr.to = from or copy.attr.from, to or copy.attr.to;
	return copy;
end
gate.as_child = as_child;

-- options: verdict_timeout; more: set of events that are told on request only; on_lost(): an act that has happened
-- could not be told.
function gate.init(link, lanes, options)
	gate.link, gate.lanes, gate.options, gate.more = link, lanes, options, options.more;
end

-- Prosody 0.12 reads up to 8 KiB more than it has asked for into a buffer of the socket library. When a held stanza has
-- paused the connection, it forgets that buffer on resuming: the rest of a burst would lie there until the client sends
-- something else. So look into it. To be called before the first hold.
function gate.prepare(origin)
	local conn = origin.conn;
	if not conn or conn._verbatim_reads_on or not conn.onreadable or not conn.resume then return; end
	conn._verbatim_reads_on = true;
	local resume = conn.resume;
	local function has_more(self)
		return self.conn and self._wantread and self.conn.dirty and self.conn:dirty();
	end
	function conn.resume(self)
		local result = resume(self);
		if has_more(self) then
			timer.add_task(0, function ()
				if has_more(self) then self:onreadable(); end
			end);
		end
		return result;
	end
end

-- Tells of what has happened already: asked for like the others, so that it is sent again after a
-- reconnect, but nobody waits, and the event says so (told): no answer can undo it. What the collector answers with an error goes once more as a notification, which
-- it may keep in its outbox; what it does not answer is repaired by a snapshot.
function gate.tell(name, attributes, stanza)
	local child = as_child(stanza);
	local told = { told = 1 };
	for key, value in pairs(attributes) do told[key] = value; end
	gate.link:request(name, told, child, gate.options.verdict_timeout, function (verdict)
		if verdict.decision ~= "error" then return; end
		if not (verdict.is_answer and gate.link:notify(name, told, child)) then gate.options.on_lost(); end
	end);
end

-- Fire and forget: evidence.
function gate.notify(name, attributes, stanza)
	gate.link:notify(name, attributes, stanza);
end

-- False where nothing may wait: a module acts in a timer or a callback, outside of Prosody's coroutines and our lanes.
gate.can_wait = async.ready;

-- Asks and waits. Gives the verdict. Where nothing may wait, a person's act does not go on, for nothing
-- says that it is durable; what the service does by itself (no actor) is told and passes.
function gate.ask(name, attributes, stanza)
	if not gate.can_wait() then
		if attributes.actor then
			module:log("warn", "%s comes where nothing may wait: refused", name);
			return { decision = "error", reason = "nothing may wait here" };
		end
		gate.tell(name, attributes, stanza);
		return { decision = "pass" };
	end
	local act = gate.lanes.current();
	local limit = act and act.deadline - now() or gate.options.verdict_timeout;
	local verdict;
	local wait, done = async.waiter(); -- not a promise: those send a turn later, behind what is told now
	gate.link:request(name, attributes, as_child(stanza), limit, function (answer)
		verdict = answer;
		done();
	end);
	wait();
	if verdict.decision == "error" then
		module:log("warn", "%s was not answered well: %s", name, verdict.reason);
	end
	return verdict;
end

-- Puts the content of `replacement` into `stanza`; addresses, id and type stay, for Prosody relies on them.
function gate.replace(stanza, replacement)
	for i = #stanza, 1, -1 do stanza[i] = nil; end
	for i = #stanza.tags, 1, -1 do stanza.tags[i] = nil; end
	for _, child in ipairs(replacement) do
		table.insert(stanza, child);
		if st.is_stanza(child) then table.insert(stanza.tags, child); end
	end
end

-- Tells the sender that it did not go through. `from` is given where the stanza no longer bears it.
function gate.bounce(origin, stanza, from, verdict)
	local stanza_type = stanza.attr.type;
	if stanza_type == "error" or stanza_type == "result" or not origin then return; end
	local original = st.clone(stanza);
	original.attr.from = from or original.attr.from;
	if verdict and verdict.is_policy then
		origin.send(st.error_reply(original, "cancel", "policy-violation", verdict.reason));
	else
		origin.send(st.error_reply(original, "wait", "remote-server-timeout", bounce_text));
	end
end

-- Stops: with the policy's words for the sender, without a word where it has none; but who asks by <iq/> must be answered
-- (RFC 6120, section 8.2.3).
local function handle(origin, stanza, from, text)
	if not text and stanza.name ~= "iq" then return; end
	gate.bounce(origin, stanza, from, { is_policy = true, reason = text or "This is not permitted" });
end

-- Does with a stanza what the verdict says. True when it stops here (bounced or handled); else it may go on, changed
-- if the verdict says so.
function gate.applies(verdict, origin, stanza, from)
	if verdict.decision == "error" then
		gate.bounce(origin, stanza, from, verdict);
		return true;
	elseif verdict.decision == "handle" then
		handle(origin, stanza, from, verdict.text);
		return true;
	elseif verdict.stanza and verdict.stanza.name ~= stanza.name then
		module:log("error", "A verdict changes a %s into a %s: bounced", stanza.name, verdict.stanza.name);
		gate.bounce(origin, stanza, from);
		return true;
	elseif verdict.stanza then
		gate.replace(stanza, verdict.stanza);
	end
	return false;
end

-- The usual sequence for a stanza that can be stopped; true as in applies(). `child`: the stanza as it is to be shown
-- in the event, where that differs.
function gate.stops(name, attributes, origin, stanza, child)
	return gate.applies(gate.ask(name, attributes, child or stanza), origin, stanza);
end

-- The same for presence of people, which no outage blocks: without a verdict it goes on.
function gate.stops_presence(name, attributes, origin, stanza, child)
	if not gate.can_wait() then
		gate.tell(name, attributes, child or stanza);
		return false;
	end
	local verdict = gate.ask(name, attributes, child or stanza);
	return verdict.decision ~= "error" and gate.applies(verdict, origin, stanza);
end

-- What an act that is no stanza is refused with: type and condition of XMPP, or nil when it may go on.
function gate.refusal(name, attributes)
	local verdict = gate.ask(name, attributes);
	if verdict.decision == "pass" then return nil; end
	if verdict.decision == "handle" or verdict.is_policy then return "cancel", "policy-violation"; end
	return "wait", "remote-server-timeout";
end

return gate;
