-- mod_verbatim: asks verbatim-collector before Prosody delivers.
--
-- Every message, invitation and room action is held until the collector says that it is durable; without
-- that word it is bounced to its sender. Logins, logouts and leaves are told and never held back for
-- longer than the limit. See README.md for installation and options, docs/xcp-link.md for the wire.
--
-- One instance serves all hosts and owns the one link; each host only adds its hooks.

module:set_global();

local st = require "util.stanza";

local hosts = prosody.hosts;
local snapshot_part_max = 500;
local snapshot_retry = 5;

local options = {
	host = module:get_option_string("verbatim_host", "127.0.0.1");
	port = module:get_option_number("verbatim_port", 7999);
	component = module:get_option_string("verbatim_component");
	secret = module:get_option_string("verbatim_secret");
	node = module:get_option_string("verbatim_node", "prosody");
	verdict_timeout = module:get_option_number("verbatim_verdict_timeout", 25);
	reconnect_min = module:get_option_number("verbatim_reconnect_min", 0.5);
	reconnect_max = module:get_option_number("verbatim_reconnect_max", 10);
	pending_max = module:get_option_number("verbatim_pending_max", 10000);
	evidence = module:get_option_set("verbatim_evidence", { "es_OUT", "es_IN" })._items;
};

local events = module:require "events";
local lanes = module:require "lanes";
local gate = module:require "gate";
local users = module:require "users";
local rooms = module:require "rooms";

-- A wrong word must not mean that something is not told in silence.
local function read_words(option, read)
	local known, unknown = read(module:get_option_set(option, {})._items);
	for _, word in ipairs(unknown) do module:log("error", "%s: %q is not known and changes nothing", option, word); end
	return known;
end
options.more = read_words("verbatim_more", events.read_more);
options.packets = read_words("verbatim_packets", events.read_packets);

local room_hosts = {}; -- host -> mod_muc
local user_hosts = {}; -- host -> true
local link;

-- Snapshot --------------------------------------------------------------------------------------------

local function on_snapshot_answer(verdict)
	if verdict.decision == "error" then options.on_lost(); end
end

local function tell_snapshot(child)
	link:request("x-snapshot", {}, child, options.verdict_timeout, on_snapshot_answer);
end

-- Tells `items` under elements named `name`, in parts of bounded size; no items are one empty part.
local function tell_parts(name, attributes, items)
	local parts = math.max(1, math.ceil(#items / snapshot_part_max));
	for part = 1, parts do
		local element = st.stanza(name, attributes);
		element.attr.part, element.attr.parts = tostring(part), tostring(parts);
		for i = (part - 1) * snapshot_part_max + 1, math.min(part * snapshot_part_max, #items) do
			element:add_child(items[i]);
		end
		tell_snapshot(element);
	end
end

local function occupants_of(room)
	local occupants = {};
	for nick, occupant in room:each_occupant() do
		for real_jid, presence in occupant:each_session() do
			if presence.attr.type == nil then
				table.insert(occupants, st.stanza("occupant", { jid = real_jid, nick = nick:match("/(.*)$"),
					role = occupant.role, affiliation = room:get_affiliation(real_jid) or "none" }));
			end
		end
	end
	return occupants;
end

local function send_snapshot()
	local sessions, room_count = {}, 0;
	for host in pairs(user_hosts) do
		for _, jid in ipairs(users.sessions(host)) do table.insert(sessions, st.stanza("session", { jid = jid })); end
	end
	tell_parts("sessions", {}, sessions);
	for _, muc in pairs(room_hosts) do
		for room in muc.live_rooms() do
			room_count = room_count + 1;
			tell_parts("room", { jid = room.jid, name = room:get_name() }, occupants_of(room));
		end
	end
	tell_snapshot(st.stanza("end", { rooms = tostring(room_count), sessions = tostring(#sessions) }));
end

-- Something that has happened could not be told: the next snapshot repairs what the collector knows.
local is_snapshot_due = false;
function options.on_lost()
	if is_snapshot_due or not link:is_active() then return; end -- a new link begins with a snapshot
	is_snapshot_due = true;
	module:add_timer(snapshot_retry, function ()
		is_snapshot_due = false;
		if link:is_active() then send_snapshot(); end
	end);
end

-- Start, hosts, end -----------------------------------------------------------------------------------

link = module:require "link".new(options, module._log, send_snapshot);
gate.init(link, lanes, options);
users.init(gate, lanes, room_hosts, options);
rooms.init(gate, lanes, options);

if not options.component or not options.secret then
	-- Not an error that would unload us: without this module nothing would be archived, with it everything bounces.
	module:log("error", "verbatim_component and verbatim_secret must be set; until then no message is delivered");
elseif prosody.start_time then
	link:dial();
else
	module:hook("server-started", function () link:dial(); end);
end

module:hook("config-reloaded", function () link:notify("onServiceReconfig", {}); end);
if options.more.e_STATS then
	module:hook("stats-update", function () link:notify("e_STATS", {}); end);
end

function module.add_host(host)
	if hosts[host.host].modules.muc or host:get_host_type() == "component" then
		room_hosts[host.host] = rooms.add_host(host);
	else
		user_hosts[host.host] = true;
		users.add_host(host);
	end
	function host.unload()
		room_hosts[host.host], user_hosts[host.host] = nil, nil;
	end
end

function module.unload()
	link:stop();
end
