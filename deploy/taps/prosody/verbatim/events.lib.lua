-- What Prosody 0.12 can tell of the guide's 40 events. docs/chat-servers.md shows this table, a test compares the two.
--
-- May: "change" (held; a verdict may stop or change it), "veto" (held; a verdict may stop it), "notify" (told; it has
-- happened), "none" (no hook). Told: "always"; "more" (only when `verbatim_more` names it); "partly" (the usual cases
-- always, all of them with `verbatim_more`).

local events = {
	e_AUTH = { "notify", "more" };
	e_REGISTER = { "veto", "always" };
	e_SESSION = { "veto", "always" };
	es_END = { "notify", "always" };
	es_OUT = { "change", "partly" };
	es_IN = { "change", "partly" };
	e_DELIVER = { "change", "always" };
	e_OFFLINE = { "change", "partly" };
	e_SERVER = { "change", "more" };
	e_STATS = { "notify", "more" };
	e_DISCOFEAT = { "veto", "more" };
	e_PRISESSION = { "none", "none" };
	onServicePacket = { "change", "more" };
	onBeforeRoomCreate = { "change", "always" };
	onAfterRoomCreate = { "notify", "always" };
	onServiceDiscoInfo = { "veto", "more" };
	onServiceReconfig = { "notify", "always" };
	onDestroy = { "veto", "always" };
	onClose = { "notify", "always" };
	onPacket = { "change", "partly" };
	onMetaInfoGet = { "veto", "more" };
	onBeforeMetaInfoSet = { "change", "always" };
	onAfterMetaInfoSet = { "notify", "always" };
	onExamineRoom = { "notify", "more" };
	onBeforeChangeUser = { "change", "partly" };
	onAfterChangeUser = { "notify", "partly" };
	onBeforeChangeAffiliation = { "veto", "always" };
	onAfterChangeAffiliation = { "notify", "always" };
	onBeforeRemoveAffiliation = { "veto", "always" };
	onAfterRemoveAffiliation = { "notify", "always" };
	onBeforeJoin = { "change", "always" };
	onAfterJoin = { "notify", "always" };
	onLeave = { "notify", "always" };
	onBeforeSubject = { "change", "always" };
	onAfterSubject = { "notify", "always" };
	onBeforeInvite = { "change", "always" };
	onAfterInvite = { "notify", "always" };
	onHistory = { "veto", "always" };
	onBeforeSend = { "change", "always" };
	onBeforeBroadcast = { "change", "always" };
};

local packet_types = { message = true, presence = true, iq = true, subscription = true };

-- The set of events named in `verbatim_more`; "all" is each of them. Gives the words it does not know, too.
local function read_more(words)
	local more, unknown = {}, {};
	for word in pairs(words) do
		if word == "all" then
			for name in pairs(events) do more[name] = true; end
		elseif events[word] and events[word][2] ~= "none" then
			more[word] = true;
		else
			table.insert(unknown, word);
		end
	end
	return more, unknown;
end

-- The same for `verbatim_packets`.
local function read_packets(words)
	local packets, unknown = { message = true }, {};
	for word in pairs(words) do
		if packet_types[word] then packets[word] = true; else table.insert(unknown, word); end
	end
	return packets, unknown;
end

return { events = events, read_more = read_more, read_packets = read_packets };
