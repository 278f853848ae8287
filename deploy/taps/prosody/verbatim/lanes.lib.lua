-- Lanes: one act at a time in each conversation, in the order of arrival, even while one of them is held.
--
-- Prosody runs each client's stanzas in a coroutine of its own that may wait; without a lane a later
-- message of another person overtakes the held one, and two people can create the same room twice.
-- What arrives where nothing may wait (a component's stanzas, the presence that Prosody makes for a
-- client that is gone) is taken over by a coroutine of ours.
--
-- A coroutine that is in one lane never waits for another, so no two can wait for each other.

local async = require "util.async";
local timer = require "util.timer";
local now = require "util.time".monotonic;

local lanes = {}; -- key -> { owner = coroutine, waiting = { done, ... } }
local acts = setmetatable({}, { __mode = "k" }); -- coroutine -> the act it runs

local function acquire(key)
	local lane = lanes[key];
	if lane then
		local wait, done = async.waiter();
		table.insert(lane.waiting, done);
		wait();
	else
		lane = { waiting = {} };
		lanes[key] = lane;
	end
	lane.owner = coroutine.running();
end

-- The next one goes on in a turn of its own: a long queue must not become a deep stack.
local function release(key)
	local lane = lanes[key];
	lane.owner = nil;
	local done = table.remove(lane.waiting, 1);
	if done then
		timer.add_task(0, function () done(); end);
	else
		lanes[key] = nil;
	end
end

local function run_alone(key, act, job)
	local thread = coroutine.running();
	acquire(key);
	local outer = acts[thread];
	acts[thread] = act;
	local ok, result = xpcall(job, debug.traceback);
	acts[thread] = outer;
	release(key);
	if not ok then error(result, 0); end
	return result;
end

-- Runs job() when everything before it in lane `key` is done. `act` is what current() gives meanwhile;
-- its deadline counts from now, so that waiting in line is part of the limit. `detach` is called before
-- the job is taken over by a coroutine of ours (copy what the caller will change); the result is then
-- true at once.
local function run(key, act, job, limit, detach)
	local lane, thread = lanes[key], coroutine.running();
	if lane and lane.owner == thread then
		return job(); -- the act itself comes back to its conversation: an error for an unreachable occupant
	end
	act.deadline = now() + limit;
	if async.ready() and not (lane and acts[thread]) then
		return run_alone(key, act, job);
	end
	detach();
	async.runner(function () run_alone(key, act, job); end, {
		error = function (_, err) module:log("error", "In a held act: %s", err); end;
	}):run(true);
	return true;
end

-- The act that the running coroutine is in, or nil.
local function current()
	return acts[coroutine.running()];
end

return { run = run, current = current };
