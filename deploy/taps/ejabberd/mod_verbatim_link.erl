%% The link of one virtual host to verbatim-collector: dials, shakes hands, numbers the events, keeps what is unanswered, sends
%% it again after a reconnect (docs/xcp-link.md).
%%
%% I1 A request lives until its answer or its time limit; then whoever asked has an answer, exactly once. While it lives it is
%%    sent again, byte for byte, on each new connection, in the order of its number.
%% I2 A notification is sent or lost; its number is used up, so that the collector sees the gap.
%% I3 Who is logged in and who is in which room is noted here, in the order of the numbers: what a new link begins with fits to
%%    the events around it, and nobody is asked for it who may be waiting for us.
%%
%% Events are asked and told from the processes of sessions and rooms. Only those wait, never this one.
-module(mod_verbatim_link).
-behaviour(gen_server).

-export([start_link/1, ask/5, tell/4, notify/4, room_started/2, forget_room/2, name/1, clock/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2, format_status/1]).

-include("xmpp.hrl").
-include("logger.hrl").

-define(NS_VERBATIM, <<"urn:x-verbatim:xcp-event:1">>).
-define(NS_CONNECT, <<"jabber:component:connect">>).
-define(TOLD, {<<"told">>, <<"1">>}).
-define(ANSWER_SIZE_LIMIT, 4194304).
-define(HANDSHAKE_MS, 5000).
-define(SNAPSHOT_RETRY_MS, 5000).
-define(SNAPSHOT_PART_MAX, 500).
%% Rooms that somebody was allowed to make and that are not there yet.
-define(CREATORS_MAX, 10000).
%% A link on which nothing is answered for so many time limits is dialled anew.
-define(SILENT_LIMITS, 4).

-record(request, {id, xml, owner, timer, since}).
-record(link, {host, options, status = down, socket, parser, is_graceful = false, boot, next = 1, requests = #{}, ids = #{},
               down_since, last_heard, back_off, is_snapshot_due = false, sessions = #{}, rooms = #{}, creators = #{}}).

%% Options are those of mod_verbatim at this host.
start_link(Host) ->
    gen_server:start_link({local, name(Host)}, ?MODULE, [Host], []).

name(Host) ->
    gen_mod:get_module_proc(Host, ?MODULE).

%% Asks and waits. Attributes: [{binary(), binary()}]; Child: a stanza or undefined; Arrived: clock() when the act began, from which
%% the limit counts.
%% Gives {pass, undefined | Stanza}, {handle, Text for the sender}, {refused, Text} (for good) or unanswered.
ask(Host, Name, Attributes, Child, Arrived) ->
    try gen_server:call(name(Host), {ask, Name, Attributes, Child, Arrived}, infinity)
    catch exit:_ -> unanswered
    end.

%% Milliseconds. Erlang's own system time never jumps and is nearly the same on all nodes of a cluster.
clock() -> erlang:system_time(millisecond).

%% Tells of what has happened: asked for like the others, so that it is sent again after a reconnect, but nobody waits.
tell(Host, Name, Attributes, Child) ->
    gen_server:cast(name(Host), {tell, Name, Attributes, Child}).

%% Fire and forget: evidence.
notify(Host, Name, Attributes, Child) ->
    gen_server:cast(name(Host), {notify, Name, Attributes, Child}).

%% A room is there. Tells onAfterRoomCreate when somebody was allowed to make it: the server does not say who does.
room_started(Host, Room) ->
    gen_server:cast(name(Host), {room_started, Room}).

%% The room is gone; to be called after what is told of its end.
forget_room(Host, Room) ->
    gen_server:cast(name(Host), {forget_room, Room}).

init([Host]) ->
    process_flag(trap_exit, true),
    process_flag(sensitive, true), % a crash report shows the mailbox
    Keys = [host, port, component, secret, node, verdict_timeout, reconnect_min, reconnect_max, pending_max],
    Options = maps:from_list([{Key, gen_mod:get_module_opt(Host, mod_verbatim, Key)} || Key <- Keys]),
    Now = clock(),
    self() ! dial,
    {ok, #link{host = Host, options = Options, boot = integer_to_binary(erlang:system_time(microsecond)), down_since = Now,
               last_heard = Now, back_off = maps:get(reconnect_min, Options)}}.

handle_call(Request, From, Link) -> guarded(fun() -> on_call(Request, From, Link) end, Link).
handle_cast(Request, Link) -> guarded(fun() -> on_cast(Request, Link) end, Link).
handle_info(Info, Link) -> guarded(fun() -> on_info(Info, Link) end, Link).

%% The stack of an error may bear all that we hold; it would stand in the log.
guarded(Act, Link) ->
    try Act()
    catch _:Error:Stack -> {stop, {bare(Error), [{Module, Function} || {Module, Function, _, _} <- Stack]}, Link}
    end.

bare(Error) when is_atom(Error) -> Error;
bare(Error) when is_tuple(Error), is_atom(element(1, Error)) -> element(1, Error);
bare(_) -> other.

on_call({ask, Name, Attributes, Child, Arrived}, From, Link) ->
    {noreply, request(Name, Attributes, Child, {From, Arrived}, note(Name, Attributes, Link))}.

%% What is told has happened, or goes on whatever is answered: the event says so.
on_cast({tell, Name, Attributes, Child}, Link) ->
    {noreply, request(Name, [?TOLD | Attributes], Child, {told, Name, Attributes, Child}, note(Name, Attributes, Link))};
on_cast({notify, Name, Attributes, Child}, Link) ->
    {_, _, Xml, Link1} = compose(<<"set">>, Name, [?TOLD | Attributes], Child, Link),
    {noreply, write(Xml, Link1)};
on_cast({room_started, Room}, #link{creators = Creators} = Link) ->
    case maps:take(Room, Creators) of
        {Actor, Others} ->
            on_cast({tell, <<"onAfterRoomCreate">>, [{<<"room">>, Room}, {<<"actor">>, Actor}], undefined}, Link#link{creators = Others});
        error ->
            {noreply, change_room([{<<"room">>, Room}], fun(Occupants) -> Occupants end, Link)}
    end;
on_cast({forget_room, Room}, Link) ->
    {noreply, Link#link{rooms = maps:remove(Room, Link#link.rooms)}}.

on_info(dial, #link{status = down} = Link) ->
    dial(Link#link.options),
    {noreply, Link#link{status = dialling}};
on_info({dialled, {ok, Socket}}, #link{status = dialling} = Link) ->
    {noreply, open(Socket, Link)};
on_info({dialled, {error, Reason}}, #link{status = dialling} = Link) ->
    {noreply, drop(Reason, Link)};
on_info({tcp, Socket, Data}, #link{socket = Socket, parser = Parser} = Link) ->
    inet:setopts(Socket, [{active, once}]),
    {noreply, Link#link{parser = fxml_stream:parse(Parser, Data)}};
on_info({tcp_closed, Socket}, #link{socket = Socket} = Link) ->
    {noreply, drop(closed, Link)};
on_info({tcp_error, Socket, Reason}, #link{socket = Socket} = Link) ->
    {noreply, drop(Reason, Link)};
on_info({'$gen_event', Event}, #link{socket = Socket} = Link) when Socket /= undefined ->
    {noreply, on_stream(Event, Link)};
on_info({handshake_limit, Socket}, #link{socket = Socket, status = handshake} = Link) ->
    {noreply, drop(no_handshake, Link)};
on_info({timeout, Timer, {expire, Number}}, Link) ->
    {noreply, expire(Number, Timer, Link)};
on_info(snapshot, Link) ->
    Link1 = Link#link{is_snapshot_due = false},
    {noreply, case Link1#link.status of active -> snapshot(Link1); _ -> Link1 end};
on_info(_, Link) -> % of a connection that is gone
    {noreply, Link}.

terminate(_Reason, Link) ->
    [answer(Request#request.owner, unanswered) || Request <- maps:values(Link#link.requests)],
    close(Link).

%% What a log and whoever looks at this process may see: no secret, nobody's name, nothing of what was said.
format_status(Status) ->
    maps:map(fun(state, #link{status = Word, next = Next, requests = Requests}) ->
                     #{status => Word, next => Next, unanswered => maps:size(Requests)};
                (reason, Reason) -> Reason;
                (log, _) -> [];
                (_, _) -> hidden
             end, Status).

%% Requests -------------------------------------------------------------------------------------------------------------------

limit(#link{options = #{verdict_timeout := Limit}}) -> Limit.

request(Name, Attributes, Child, Owner, Link) ->
    {Id, Number, Xml, Link1} = compose(<<"get">>, Name, Attributes, Child, Link),
    Begun = case Link1#link.status of
                active -> began(Owner);
                %% No longer than the link has been allowed to be away.
                _ -> min(began(Owner), Link1#link.down_since)
            end,
    Limit = min(0, Begun - clock()) + limit(Link1),
    IsFull = maps:size(Link1#link.requests) >= maps:get(pending_max, Link1#link.options),
    if
        IsFull; Limit =< 0 ->
            settled(Owner, unanswered, Link1);
        true ->
            Timer = erlang:start_timer(Limit, self(), {expire, Number}),
            Request = #request{id = Id, xml = Xml, owner = Owner, timer = Timer, since = clock()},
            write(Xml, Link1#link{requests = maps:put(Number, Request, Link1#link.requests),
                                  ids = maps:put(Id, Number, Link1#link.ids)})
    end.

began({told, _, _, _}) -> clock();
began({_From, Arrived}) -> Arrived.

%% The text of an event with the next number.
compose(Type, Name, Attributes, Child, #link{next = Number, boot = Boot, options = Options} = Link) ->
    Id = <<"eb-", Boot/binary, "-", (integer_to_binary(Number))/binary>>,
    Service = case Name of <<"on", _/binary>> -> <<"tc-1.">>; _ -> <<"jsm-1.">> end,
    Event = #xmlel{name = <<"event">>,
                   attrs = [{<<"xmlns">>, ?NS_VERBATIM}, {<<"name">>, Name}, {<<"boot">>, Boot},
                            {<<"seq">>, integer_to_binary(Number)}, {<<"time">>, timestamp()} | Attributes],
                   children = [Child || Child /= undefined]},
    Xdb = #xmlel{name = <<"xdb">>,
                 attrs = [{<<"id">>, Id}, {<<"type">>, Type}, {<<"from">>, <<Service/binary, (maps:get(node, Options))/binary>>},
                          {<<"to">>, maps:get(component, Options)}, {<<"ns">>, ?NS_VERBATIM}],
                 children = [Event]},
    {Id, Number, fxml:element_to_binary(Xdb), Link#link{next = Number + 1}}.

timestamp() ->
    list_to_binary(calendar:system_time_to_rfc3339(erlang:system_time(microsecond), [{unit, microsecond}, {offset, "Z"}])).

expire(Number, Timer, Link) ->
    case maps:find(Number, Link#link.requests) of
        {ok, #request{timer = Timer, since = Since}} when Link#link.status == active ->
            %% Sent, and gone on without: that must show. A number that is never sent becomes a gap in the archive.
            Link1 = settle(Number, unanswered, Link#link{next = Link#link.next + 1}),
            IsSilent = Link1#link.last_heard < Since andalso clock() - Link1#link.last_heard > ?SILENT_LIMITS * limit(Link1),
            if IsSilent -> drop(silent, Link1); true -> Link1 end;
        {ok, #request{timer = Timer}} ->
            settle(Number, unanswered, Link);
        _ ->
            Link
    end.

settle(Number, Verdict, #link{requests = Requests, ids = Ids} = Link) ->
    #request{id = Id, owner = Owner, timer = Timer} = maps:get(Number, Requests),
    erlang:cancel_timer(Timer),
    settled(Owner, Verdict, Link#link{requests = maps:remove(Number, Requests), ids = maps:remove(Id, Ids)}).

%% What was told and not taken: what the collector answers with an error goes once more as a notification, which it may keep in
%% its outbox; what it does not answer is repaired by a snapshot.
settled({told, <<"x-snapshot">>, _, _}, {pass, _}, Link) -> Link;
settled({told, <<"x-snapshot">>, _, _}, _, Link) -> snapshot_later(Link);
settled({told, Name, Attributes, Child}, {Error, _}, Link) when Error == wait; Error == refused ->
    {_, _, Xml, Link1} = compose(<<"set">>, Name, [?TOLD | Attributes], Child, Link),
    write(Xml, Link1);
settled({told, _, _, _}, unanswered, Link) -> snapshot_later(Link);
settled({told, _, _, _}, _, Link) -> Link;
settled(Owner, Verdict, Link) ->
    answer(Owner, Verdict),
    Link.

answer({told, _, _, _}, _) -> ok;
answer({From, _}, {wait, _}) -> gen_server:reply(From, unanswered);
answer({From, _}, Verdict) -> gen_server:reply(From, Verdict).

write(Xml, #link{status = active, socket = Socket} = Link) ->
    case gen_tcp:send(Socket, Xml) of
        ok -> Link;
        {error, Reason} -> drop(Reason, Link)
    end;
write(_, Link) ->
    Link.

%% Connection -----------------------------------------------------------------------------------------------------------------

dial(#{host := Host, port := Port}) ->
    Owner = self(),
    spawn_link(fun() ->
        Result = gen_tcp:connect(binary_to_list(Host), Port, [binary, {active, false}, {nodelay, true}, {keepalive, true},
                                                              {send_timeout, 5000}, {send_timeout_close, true}], 5000),
        case Result of
            {ok, Socket} -> gen_tcp:controlling_process(Socket, Owner);
            _ -> ok
        end,
        Owner ! {dialled, Result}
    end).

open(Socket, #link{options = #{component := Component}} = Link) ->
    Header = [<<"<?xml version='1.0'?><stream:stream xmlns='">>, ?NS_CONNECT,
              <<"' xmlns:stream='http://etherx.jabber.org/streams' from='">>, fxml:crypt(Component), <<"'>">>],
    gen_tcp:send(Socket, Header),
    inet:setopts(Socket, [{active, once}]),
    erlang:send_after(?HANDSHAKE_MS, self(), {handshake_limit, Socket}),
    Link#link{status = handshake, socket = Socket, parser = fxml_stream:new(self(), ?ANSWER_SIZE_LIMIT), last_heard = clock(),
              is_graceful = false}.

on_stream({xmlstreamstart, _, Attributes}, #link{socket = Socket, options = #{secret := Secret}} = Link) ->
    Id = proplists:get_value(<<"id">>, Attributes, <<>>),
    gen_tcp:send(Socket, [<<"<handshake>">>, str:sha(<<Id/binary, Secret/binary>>), <<"</handshake>">>]),
    Link;
on_stream({xmlstreamelement, #xmlel{name = <<"handshake">>}}, #link{status = handshake} = Link) ->
    ?INFO_MSG("Linked with the collector as ~ts", [maps:get(component, Link#link.options)]),
    Link1 = Link#link{status = active, back_off = maps:get(reconnect_min, Link#link.options), last_heard = clock()},
    snapshot(resend(Link1));
on_stream({xmlstreamelement, #xmlel{name = <<"xdb">>, attrs = Attributes} = Xdb}, #link{status = active} = Link) ->
    Link1 = Link#link{last_heard = clock()},
    case maps:find(proplists:get_value(<<"id">>, Attributes), Link1#link.ids) of
        {ok, Number} -> settle(Number, read_verdict(Xdb), Link1);
        error -> Link1 % answered late
    end;
on_stream({xmlstreamelement, #xmlel{name = <<"stream:error">>, children = Children}}, Link) ->
    drop([Name || #xmlel{name = Name} <- Children], Link);
on_stream({xmlstreamend, _}, Link) ->
    drop(ended, Link#link{is_graceful = true});
on_stream({xmlstreamerror, Reason}, Link) ->
    drop(Reason, Link);
on_stream(_, Link) ->
    Link.

read_verdict(#xmlel{attrs = Attributes} = Xdb) ->
    case proplists:get_value(<<"type">>, Attributes) of
        <<"error">> ->
            #xmlel{attrs = ErrorAttributes} = Error = child(Xdb, <<"error">>),
            Text = fxml:get_tag_cdata(Error),
            case proplists:get_value(<<"type">>, ErrorAttributes, <<"wait">>) of
                <<"wait">> -> {wait, Text};
                _ -> {refused, Text}
            end;
        _ ->
            case {child(Xdb, <<"pass">>), child(Xdb, <<"handle">>)} of
                {#xmlel{name = <<"pass">>, children = Children}, _} ->
                    {pass, case [El || #xmlel{} = El <- Children] of [Stanza | _] -> Stanza; [] -> undefined end};
                {_, #xmlel{name = <<"handle">>} = Handle} -> {handle, fxml:get_tag_cdata(Handle)};
                _ -> unanswered
            end
    end.

child(#xmlel{children = Children}, Name) ->
    case [El || #xmlel{name = Found} = El <- Children, Found == Name] of
        [El | _] -> El;
        [] -> #xmlel{}
    end.

%% Everything unanswered, in the order of the numbers.
resend(#link{requests = Requests} = Link) ->
    lists:foldl(fun({_, #request{xml = Xml}}, Acc) -> write(Xml, Acc) end, Link, lists:sort(maps:to_list(Requests))).

%% Ends the connection, if any, and dials again.
drop(Reason, #link{status = Status, back_off = BackOff, options = Options} = Link) ->
    close(Link),
    {Delay, Next, Since} =
        case {Status, Link#link.is_graceful} of
            {active, true} -> {0, BackOff, clock()};
            {active, false} -> {BackOff, BackOff, clock()};
            _ -> {BackOff, min(BackOff * 2, maps:get(reconnect_max, Options)), Link#link.down_since}
        end,
    if Status == active -> ?WARNING_MSG("No link with the collector (~p), dialling in ~b ms", [Reason, Delay]); true -> ok end,
    erlang:send_after(Delay, self(), dial),
    Link#link{status = down, socket = undefined, parser = undefined, back_off = Next, down_since = Since}.

close(#link{socket = undefined}) -> ok;
close(#link{socket = Socket, parser = Parser}) ->
    gen_tcp:send(Socket, <<"</stream:stream>">>),
    gen_tcp:close(Socket),
    fxml_stream:close(Parser).

%% Snapshot -------------------------------------------------------------------------------------------------------------------

%% What an event changes of who is where.
note(<<"e_SESSION">>, Attributes, #link{sessions = Sessions} = Link) ->
    Link#link{sessions = maps:put(value(<<"actor">>, Attributes), true, Sessions)};
note(<<"es_END">>, Attributes, #link{sessions = Sessions} = Link) ->
    Link#link{sessions = maps:remove(value(<<"actor">>, Attributes), Sessions)};
note(<<"onBeforeRoomCreate">>, Attributes, #link{creators = Creators} = Link) ->
    Known = if map_size(Creators) < ?CREATORS_MAX -> Creators; true -> #{} end,
    Link#link{creators = maps:put(value(<<"room">>, Attributes), value(<<"actor">>, Attributes), Known)};
note(<<"onAfterRoomCreate">>, Attributes, Link) ->
    change_room(Attributes, fun(Occupants) -> Occupants end, Link);
note(<<"onAfterJoin">>, Attributes, Link) ->
    change_room(Attributes, fun(Occupants) -> maps:put(value(<<"actor">>, Attributes), occupant(Attributes), Occupants) end, Link);
note(<<"onLeave">>, Attributes, Link) ->
    change_room(Attributes, fun(Occupants) -> maps:remove(value(<<"actor">>, Attributes), Occupants) end, Link);
note(<<"onAfterChangeUser">>, Attributes, Link) ->
    case value(<<"what">>, Attributes) of
        <<"nick">> -> note(<<"onAfterJoin">>, Attributes, Link);
        _ -> Link
    end;
note(_, _, Link) ->
    Link.

value(Name, Attributes) -> proplists:get_value(Name, Attributes, <<>>).

occupant(Attributes) -> {value(<<"actor-nick">>, Attributes), value(<<"affiliation">>, Attributes)}.

change_room(Attributes, Change, #link{rooms = Rooms} = Link) ->
    Room = value(<<"room">>, Attributes),
    Link#link{rooms = maps:put(Room, Change(maps:get(Room, Rooms, #{})), Rooms)}.

snapshot_later(#link{is_snapshot_due = true} = Link) -> Link;
snapshot_later(#link{status = active} = Link) ->
    erlang:send_after(?SNAPSHOT_RETRY_MS, self(), snapshot),
    Link#link{is_snapshot_due = true};
snapshot_later(Link) -> Link. % a new link begins with a snapshot

snapshot(#link{sessions = Sessions, rooms = Rooms} = Link) ->
    SessionItems = [#xmlel{name = <<"session">>, attrs = [{<<"jid">>, Jid}]} || Jid <- maps:keys(Sessions)],
    Link1 = tell_parts(<<"sessions">>, [], SessionItems, Link),
    Link2 = maps:fold(fun(Room, Occupants, Acc) ->
        Items = [#xmlel{name = <<"occupant">>, attrs = [{<<"jid">>, Jid}, {<<"nick">>, Nick}, {<<"affiliation">>, Affiliation}]}
                 || {Jid, {Nick, Affiliation}} <- maps:to_list(Occupants)],
        tell_parts(<<"room">>, [{<<"jid">>, Room}], Items, Acc)
    end, Link1, Rooms),
    tell_snapshot(#xmlel{name = <<"end">>, attrs = [{<<"rooms">>, integer_to_binary(maps:size(Rooms))},
                                                    {<<"sessions">>, integer_to_binary(length(SessionItems))}]}, Link2).

%% In parts of bounded size; no items are one empty part.
tell_parts(Name, Attributes, Items, Link) ->
    Parts = max(1, (length(Items) + ?SNAPSHOT_PART_MAX - 1) div ?SNAPSHOT_PART_MAX),
    lists:foldl(fun(Part, Acc) ->
        tell_snapshot(#xmlel{name = Name,
                             attrs = [{<<"part">>, integer_to_binary(Part)}, {<<"parts">>, integer_to_binary(Parts)} | Attributes],
                             children = lists:sublist(Items, (Part - 1) * ?SNAPSHOT_PART_MAX + 1, ?SNAPSHOT_PART_MAX)}, Acc)
    end, Link, lists:seq(1, Parts)).

tell_snapshot(Child, Link) ->
    request(<<"x-snapshot">>, [], Child, {told, <<"x-snapshot">>, [], undefined}, Link).
