%% mod_verbatim: asks verbatim-collector before ejabberd delivers.
%%
%% Every message, invitation, join and change of a room by a person is held until the collector says that it is durable; without
%% that word it is bounced to its sender. Logins wait and go on; logouts and leaves are told. README.md has installation and
%% options, docs/xcp-link.md the wire, docs/chat-servers.md what this server can give.
%%
%% Hooks run in the process that meets them: of a session (it alone waits), of a room (the room waits, which keeps its order), of
%% another server's stream or a component's (that waits). mod_verbatim_link never waits.
%%
%% A room's process notes in its dictionary what a later hook of the same act does not say: the nickname of who joins, the
%% reason of who leaves, what becomes a fact when the room answers an <iq/>.
-module(mod_verbatim).
-behaviour(gen_mod).

-export([start/2, stop/1, reload/3, depends/2, mod_opt_type/1, mod_options/1, mod_doc/0, events/0]).
-export([user_send/1, outside_send/1, reaches_person/1, offline/1, logged_in/1, logged_out/2, authenticated/3, registered/2,
         room_message/3, room_presence/3, room_iq/2, invited/7, room_created/3, room_started/3, room_destroyed/3, room_removed/3, joined/4, left/4, routed/1]).

-include("xmpp.hrl").
-include("mod_muc_room.hrl").
-include("logger.hrl").

%% Before whatever stores, copies or counts.
-define(FIRST, 5).
%% After the room has shown somebody as gone.
-define(LAST, 150).
-define(NO_ARCHIVE, <<"Not delivered: it could not be archived in time. Please try again later.">>).
-define(NOT_PERMITTED, <<"This is not permitted">>).
-define(NO_SUBSCRIPTIONS, <<"Subscriptions to rooms are not permitted here, for they cannot be archived. Please join the room.">>).

%% What ejabberd 23.01 can tell of the guide's 40 events; a test compares it with docs/chat-servers.md. May and told as in
%% deploy/taps/prosody/verbatim/events.lib.lua.
events() ->
    [{<<"e_AUTH">>, notify, always},
     {<<"e_REGISTER">>, notify, always},
     {<<"e_SESSION">>, veto, always},
     {<<"es_END">>, notify, always},
     {<<"es_OUT">>, change, always},
     {<<"es_IN">>, change, partly},
     {<<"e_DELIVER">>, change, always},
     {<<"e_OFFLINE">>, notify, always},
     {<<"e_SERVER">>, none, none},
     {<<"e_STATS">>, none, none},
     {<<"e_DISCOFEAT">>, none, none},
     {<<"e_PRISESSION">>, none, none},
     {<<"onServicePacket">>, none, none},
     {<<"onBeforeRoomCreate">>, change, always},
     {<<"onAfterRoomCreate">>, notify, always},
     {<<"onServiceDiscoInfo">>, none, none},
     {<<"onServiceReconfig">>, none, none},
     {<<"onDestroy">>, veto, always},
     {<<"onClose">>, notify, always},
     {<<"onPacket">>, change, partly},
     {<<"onMetaInfoGet">>, none, none},
     {<<"onBeforeMetaInfoSet">>, change, always},
     {<<"onAfterMetaInfoSet">>, notify, always},
     {<<"onExamineRoom">>, none, none},
     {<<"onBeforeChangeUser">>, veto, partly},
     {<<"onAfterChangeUser">>, notify, partly},
     {<<"onBeforeChangeAffiliation">>, veto, always},
     {<<"onAfterChangeAffiliation">>, notify, always},
     {<<"onBeforeRemoveAffiliation">>, veto, always},
     {<<"onAfterRemoveAffiliation">>, notify, always},
     {<<"onBeforeJoin">>, change, always},
     {<<"onAfterJoin">>, notify, always},
     {<<"onLeave">>, notify, always},
     {<<"onBeforeSubject">>, veto, always},
     {<<"onAfterSubject">>, notify, always},
     {<<"onBeforeInvite">>, change, always},
     {<<"onAfterInvite">>, notify, always},
     {<<"onHistory">>, veto, partly},
     {<<"onBeforeSend">>, change, always},
     {<<"onBeforeBroadcast">>, change, always}].

%% Module ---------------------------------------------------------------------------------------------------------------------

host_hooks() ->
    [{user_send_packet, user_send, ?FIRST}, {s2s_receive_packet, outside_send, ?FIRST}, {sm_receive_packet, reaches_person, ?FIRST},
     {offline_message_hook, offline, ?FIRST}, {c2s_session_opened, logged_in, ?FIRST}, {c2s_terminated, logged_out, ?LAST},
     {c2s_auth_result, authenticated, ?FIRST}, {register_user, registered, ?FIRST}, {muc_filter_message, room_message, ?FIRST},
     {muc_filter_presence, room_presence, ?FIRST}, {muc_process_iq, room_iq, ?FIRST}, {muc_invite, invited, ?LAST},
     {create_room, room_created, ?FIRST}, {start_room, room_started, ?FIRST},
     {room_destroyed, room_destroyed, ?LAST}, {join_room, joined, ?FIRST},
     {leave_room, left, ?FIRST}, {remove_room, room_removed, ?LAST}].

global_hooks() ->
    [{component_send_packet, outside_send, ?FIRST}, {filter_packet, routed, ?LAST}].

start(Host, _Opts) ->
    start_link(Host),
    [ejabberd_hooks:add(Hook, Host, ?MODULE, Function, Sequence) || {Hook, Function, Sequence} <- host_hooks()],
    [ejabberd_hooks:add(Hook, ?MODULE, Function, Sequence) || {Hook, Function, Sequence} <- global_hooks()],
    ok.

stop(Host) ->
    [ejabberd_hooks:delete(Hook, Host, ?MODULE, Function, Sequence) || {Hook, Function, Sequence} <- host_hooks()],
    case lists:any(fun(Other) -> Other /= Host andalso gen_mod:is_loaded(Other, ?MODULE) end, ejabberd_option:hosts()) of
        true -> ok;
        false -> [ejabberd_hooks:delete(Hook, ?MODULE, Function, Sequence) || {Hook, Function, Sequence} <- global_hooks()]
    end,
    stop_link(Host).

%% A new secret or address needs a new link.
reload(Host, _Opts, _) ->
    stop_link(Host),
    start_link(Host).

%% The link reads its options itself: a supervisor logs what it starts a child with.
start_link(Host) ->
    {ok, _} = supervisor:start_child(ejabberd_gen_mod_sup,
                                     #{id => mod_verbatim_link:name(Host), start => {mod_verbatim_link, start_link, [Host]}}),
    ok.

stop_link(Host) ->
    supervisor:terminate_child(ejabberd_gen_mod_sup, mod_verbatim_link:name(Host)),
    supervisor:delete_child(ejabberd_gen_mod_sup, mod_verbatim_link:name(Host)),
    ok.

depends(_Host, _Opts) -> [].

mod_opt_type(port) -> econf:port();
mod_opt_type(pending_max) -> econf:pos_int();
mod_opt_type(Time) when Time == verdict_timeout; Time == reconnect_min; Time == reconnect_max -> econf:pos_int();
mod_opt_type(_) -> econf:binary().

mod_options(_Host) ->
    [component, secret, {host, <<"127.0.0.1">>}, {port, 7999}, {node, <<"ejabberd">>}, {verdict_timeout, 25000},
     {reconnect_min, 500}, {reconnect_max, 10000}, {pending_max, 10000}].

mod_doc() -> #{desc => [<<"Asks verbatim-collector before ejabberd delivers.">>]}.

%% Asking ---------------------------------------------------------------------------------------------------------------------

%% Holds a stanza. Gives the stanza to go on with, or drop; then its sender has been told, where the verdict wants it.
gate(Host, Name, Attributes, Packet) ->
    case ask(Host, Name, Attributes, Packet) of
        {pass, undefined} -> Packet;
        {pass, Changed} -> change(Packet, Changed);
        {handle, Text} -> handle(Packet, Text);
        Refusal -> bounce(Packet, Refusal)
    end.

%% The same where nothing can be changed: a verdict that wants it is none.
gate_unchanged(Host, Name, Attributes, Packet) ->
    case ask(Host, Name, Attributes, Packet) of
        {pass, undefined} -> Packet;
        {handle, Text} -> handle(Packet, Text);
        Refusal -> bounce(Packet, Refusal)
    end.

ask(Host, Name, Attributes, Packet) ->
    mod_verbatim_link:ask(Host, Name, Attributes, encode(Packet), xmpp:get_meta(Packet, verbatim_arrived)).

%% An act has one limit, however often it is asked about and however long it then waits for its turn in a room: it counts from
%% where the act is first met.
arrived(Packet) ->
    case xmpp:get_meta(Packet, verbatim_arrived, undefined) of
        undefined -> xmpp:put_meta(Packet, verbatim_arrived, mod_verbatim_link:clock());
        _ -> Packet
    end.

%% The content of Changed; addresses, id and type stay, for ejabberd relies on them.
change(Packet, #xmlel{name = Name, children = Children}) ->
    case xmpp:encode(Packet) of
        #xmlel{name = Name} = El ->
            Decoded = xmpp:decode(El#xmlel{children = Children}, ?NS_CLIENT, [ignore_els]),
            WithAddresses = xmpp:set_from_to(Decoded, xmpp:get_from(Packet), xmpp:get_to(Packet)),
            decode_elements(set_meta(WithAddresses, xmpp:get_meta(Packet)));
        _ ->
            bounce(Packet, unanswered)
    end.

%% Rooms match on decoded elements.
decode_elements(#iq{} = IQ) -> xmpp:decode_els(IQ);
decode_elements(Packet) -> Packet.

set_meta(#message{} = Packet, Meta) -> Packet#message{meta = Meta};
set_meta(#presence{} = Packet, Meta) -> Packet#presence{meta = Meta};
set_meta(#iq{} = Packet, Meta) -> Packet#iq{meta = Meta}.

bounce(Packet, Verdict) ->
    case xmpp:get_type(Packet) of
        Type when Type == error; Type == result -> ok;
        _ -> ejabberd_router:route_error(Packet, error_of(Verdict))
    end,
    drop.

error_of({refused, Text}) ->
    (xmpp:err_policy_violation(Text, ejabberd_option:language()))#stanza_error{type = cancel};
error_of(_) ->
    (xmpp:err_remote_server_timeout(?NO_ARCHIVE, ejabberd_option:language()))#stanza_error{type = wait}.

%% Stops: with the policy's words for the sender, without a word where it has none; but who asks by <iq/> must be answered
%% (RFC 6120, section 8.2.3).
handle(#iq{} = IQ, <<>>) -> bounce(IQ, {refused, ?NOT_PERMITTED});
handle(_, <<>>) -> drop;
handle(Packet, Text) -> bounce(Packet, {refused, Text}).

%% A hook that fails is left out by ejabberd, and what it should have held goes on: so none may fail. Nothing of what was said
%% is logged.
guarded(Packet, Hold) ->
    try Hold(arrived(Packet))
    catch Class:_:Stack ->
        ?ERROR_MSG("Bounced, for it could not be asked about: ~p in ~p", [Class, [{Module, Function} || {Module, Function, _, _} <- Stack]]),
        bounce(Packet, unanswered)
    end.

%% As it travels in an event.
encode(undefined) -> undefined;
encode(Packet) ->
    #xmlel{attrs = Attributes} = El = xmpp:encode(Packet),
    El#xmlel{attrs = [{<<"xmlns">>, ?NS_CLIENT} | proplists:delete(<<"xmlns">>, Attributes)]}.

%% False for typing notices, receipts and the like (XEP-0085, 0184, 0333, 0334, 0359, 0203), and for an error that says only what
%% went wrong: one with words in it is delivered as any message.
has_content(#message{type = Type} = Packet) ->
    #xmlel{children = Children} = xmpp:encode(Packet),
    Silent = [?NS_CHATSTATES, ?NS_RECEIPTS, <<"urn:xmpp:chat-markers:0">>, ?NS_HINTS, ?NS_SID_0, ?NS_DELAY],
    Bare = [<<"thread">> | [<<"error">> || Type == error]],
    lists:any(fun(#xmlel{name = Name} = El) ->
                      not lists:member(Name, Bare) andalso not lists:member(fxml:get_tag_attr_s(<<"xmlns">>, El), Silent);
                 (_) -> false
              end, Children);
has_content(_) -> false.

full(JID) -> jid:encode(JID).
bare(JID) -> jid:encode(jid:remove_resource(JID)).

%% The virtual host whose rooms live at this domain, or none.
host_of_rooms(Domain) ->
    Hosts = [Host || Host <- ejabberd_option:hosts(), gen_mod:is_loaded(Host, mod_muc), gen_mod:is_loaded(Host, ?MODULE),
                     lists:member(Domain, gen_mod:get_module_opt_hosts(Host, mod_muc))],
    case Hosts of [Host | _] -> Host; [] -> none end.

%% People ---------------------------------------------------------------------------------------------------------------------

%% es_OUT, and what only shows here of what goes to a room.
user_send({drop, _} = Acc) -> Acc;
user_send({Packet, #{lserver := Host} = State}) ->
    {guarded(Packet, fun(Arrived) -> held_out(Arrived, Host) end), State}.

held_out(Packet, Host) ->
    #jid{lserver = Domain} = To = xmpp:get_to(Packet),
    case host_of_rooms(Domain) of
        none -> out(Packet, To, Host);
        RoomHost -> to_room(out_to_room(Packet, Host), RoomHost)
    end.

%% Of a post the room asks itself, as onBeforeSend, which the system's default profile has. A private message it does not have
%% but as es_OUT.
out_to_room(#message{type = groupchat} = Packet, Host) ->
    has_content(Packet) andalso mod_verbatim_link:notify(Host, <<"es_OUT">>, out_attributes(Packet), encode(Packet)),
    Packet;
out_to_room(#message{} = Packet, Host) -> out(Packet, none, Host);
out_to_room(Packet, _) -> Packet.

out_attributes(Packet) ->
    [{<<"ptype">>, <<"message">>}, {<<"actor">>, full(xmpp:get_from(Packet))}, {<<"target">>, full(xmpp:get_to(Packet))}].

out(#message{} = Packet, _, Host) ->
    case has_content(Packet) of
        true -> gate(Host, <<"es_OUT">>, out_attributes(Packet), Packet);
        false -> Packet
    end;
out(#iq{type = set, from = From} = IQ, To, Host) -> % reads the own archive (XEP-0313)
    Own = jid:remove_resource(From),
    case jid:remove_resource(To) of
        Own -> own_history(IQ, Host);
        _ -> IQ
    end;
out(Packet, _, _) -> Packet.

own_history(IQ, Host) ->
    case archive_bounds(IQ) of
        none -> IQ;
        Bounds -> gate_unchanged(Host, <<"onHistory">>, [{<<"actor">>, full(xmpp:get_from(IQ))} | Bounds], IQ)
    end.

%% What a query of an archive asks for, or none.
archive_bounds(IQ) ->
    case [El || #xmlel{name = <<"query">>} = El <- (xmpp:encode(IQ))#xmlel.children,
                lists:member(fxml:get_tag_attr_s(<<"xmlns">>, El), [?NS_MAM_1, ?NS_MAM_2])] of
        [] -> none;
        [El | _] ->
            Max = fxml:get_path_s(El, [{elem, <<"set">>}, {elem, <<"max">>}, cdata]),
            Fields = [{fxml:get_tag_attr_s(<<"var">>, Field), fxml:get_path_s(Field, [{elem, <<"value">>}, cdata])}
                      || #xmlel{name = <<"x">>, children = Inner} <- El#xmlel.children,
                         #xmlel{name = <<"field">>} = Field <- Inner],
            [{Name, Value} || {Name, Value} <- [{<<"history-max">>, Max}, {<<"history-from">>, field(<<"start">>, Fields)},
                                                {<<"history-to">>, field(<<"end">>, Fields)}, {<<"target">>, field(<<"with">>, Fields)}],
                              Value /= <<>>]
    end.

field(Name, Fields) -> proplists:get_value(Name, Fields, <<>>).

%% From another server, from a component: as e_DELIVER and, for one of the two is the record, as es_IN.
outside_send({drop, _} = Acc) -> Acc;
outside_send({Packet, State}) ->
    {guarded(Packet, fun held_in/1), State}.

held_in(Packet) ->
    #jid{lserver = Domain} = xmpp:get_to(Packet),
    case {host_of_rooms(Domain), gen_mod:is_loaded(Domain, ?MODULE), has_content(Packet)} of
        {none, true, true} -> arrives(Packet, Domain);
        {none, _, _} -> Packet;
        {Host, _, _} -> to_room(Packet, Host)
    end.

arrives(Packet, Host) ->
    case gate(Host, <<"e_DELIVER">>, out_attributes(Packet), Packet) of
        drop -> drop;
        Passed ->
            case gate(Host, <<"es_IN">>, out_attributes(Passed), Passed) of
                drop -> drop;
                Held -> xmpp:put_meta(Held, verbatim_asked, true)
            end
    end.

%% es_IN, as evidence. Copies for further clients and what an archive gives back are none of a delivery; nor are errors: a refusal
%% of ours bears the words that were refused.
reaches_person(#message{type = error} = Packet) -> Packet;
reaches_person(#message{} = Packet) ->
    #jid{lserver = Host} = xmpp:get_to(Packet),
    case has_content(Packet) andalso not is_copy(Packet) of
        true -> mod_verbatim_link:notify(Host, <<"es_IN">>, in_attributes(Packet), encode(Packet));
        false -> ok
    end,
    Packet;
reaches_person(Packet) -> Packet.

is_copy(#message{type = Type} = Packet) ->
    xmpp:get_meta(Packet, verbatim_asked, false) orelse xmpp:get_meta(Packet, carbon_copy, false)
        orelse has_child(Packet, [?NS_MAM_0, ?NS_MAM_1, ?NS_MAM_2], <<"result">>)
        orelse has_child(Packet, [?NS_CARBONS_2], <<"sent">>) orelse has_child(Packet, [?NS_CARBONS_2], <<"received">>)
        orelse (Type == groupchat andalso has_child(Packet, [?NS_DELAY], <<"delay">>)).

has_child(Packet, Namespaces, Name) ->
    lists:any(fun(#xmlel{name = Found} = El) ->
                      Found == Name andalso lists:member(fxml:get_tag_attr_s(<<"xmlns">>, El), Namespaces);
                 (_) -> false
              end, (xmpp:encode(Packet))#xmlel.children).

%% A copy of a room post says whose it is.
in_attributes(#message{from = From} = Packet) ->
    case xmpp:get_meta(Packet, muc_sender_real_jid, undefined) of
        #jid{} = Real ->
            [{<<"ptype">>, <<"message">>}, {<<"actor">>, full(Real)}, {<<"actor-nick">>, From#jid.resource},
             {<<"target">>, full(xmpp:get_to(Packet))}];
        undefined ->
            out_attributes(Packet)
    end.

%% e_OFFLINE: no session took it.
offline({_, #message{} = Packet} = Acc) ->
    #jid{lserver = Host} = xmpp:get_to(Packet),
    has_content(Packet) andalso mod_verbatim_link:notify(Host, <<"e_OFFLINE">>, out_attributes(Packet), encode(Packet)),
    Acc;
offline(Acc) -> Acc.

%% A login waits, and goes on when no verdict comes.
logged_in(#{lserver := Host, jid := JID, ip := {IP, _}} = State) ->
    case mod_verbatim_link:ask(Host, <<"e_SESSION">>, [{<<"actor">>, full(JID)}, {<<"peer">>, misc:ip_to_list(IP)}], undefined,
                               mod_verbatim_link:clock()) of
        {handle, _} -> xmpp_stream_in:send(State, xmpp:serr_policy_violation(?NOT_PERMITTED, ejabberd_option:language()));
        _ -> State
    end.

%% A stream that goes on elsewhere (XEP-0198) is no logout.
logged_out(#{mgmt_state := resumed} = State, _Reason) -> State;
logged_out(#{lserver := Host, jid := JID, sid := _} = State, Reason) ->
    Text = iolist_to_binary(ejabberd_c2s:format_reason(State, Reason)),
    mod_verbatim_link:tell(Host, <<"es_END">>, [{<<"actor">>, full(JID)}, {<<"reason">>, Text}], undefined),
    State;
logged_out(State, _Reason) -> State.

authenticated(#{lserver := Host, ip := {IP, _}} = State, Result, User) ->
    Reason = case Result of true -> <<"success">>; {false, Text} -> Text end,
    Attributes = [{<<"ptype">>, <<"iq">>}, {<<"actor">>, <<User/binary, "@", Host/binary>>}, {<<"peer">>, misc:ip_to_list(IP)},
                  {<<"reason">>, Reason}],
    mod_verbatim_link:tell(Host, <<"e_AUTH">>, Attributes, undefined),
    State.

registered(User, Host) ->
    mod_verbatim_link:tell(Host, <<"e_REGISTER">>, [{<<"ptype">>, <<"iq">>}, {<<"actor">>, <<User/binary, "@", Host/binary>>}], undefined).

%% To rooms, in the sender's process -------------------------------------------------------------------------------------------

room_of(Packet) ->
    To = xmpp:get_to(Packet),
    [{<<"room">>, bare(To)}, {<<"actor">>, full(xmpp:get_from(Packet))}].

%% A room that does not exist yet; a private message, an invitation, whatever else is said to a room and is no post.
to_room(#presence{type = available, to = #jid{luser = Room, resource = Nick}} = Packet, Host) when Room /= <<>>, Nick /= <<>> ->
    may_make_room(Packet, Host);
to_room(#message{type = groupchat} = Packet, _) -> Packet; % the room asks
to_room(#message{to = #jid{luser = Room, resource = Nick}} = Packet, Host) when Room /= <<>> ->
    case has_content(Packet) of
        false -> Packet;
        true when Nick /= <<>> -> gate(Host, <<"onPacket">>, [{<<"target-nick">>, Nick} | room_of(Packet)], Packet);
        true ->
            case invitation(Packet) of
                none -> gate(Host, <<"onPacket">>, room_of(Packet), Packet);
                About -> gate(Host, <<"onBeforeInvite">>, About ++ room_of(Packet), Packet)
            end
    end;
to_room(#iq{to = #jid{luser = Room}} = IQ, Host) when Room /= <<>> ->
    case {is_subscription(IQ), is_query(IQ, ?NS_MUC_OWNER, <<"query">>)} of
        {true, _} -> bounce(IQ, {refused, ?NO_SUBSCRIPTIONS}); % it, too, would make the room
        {false, true} -> may_make_room(IQ, Host);
        _ -> IQ
    end;
to_room(Packet, _) -> Packet.

%% ejabberd makes the room that is not there for whoever would be in it or configure it.
may_make_room(Packet, Host) ->
    #jid{luser = Room, lserver = Service, resource = Nick} = xmpp:get_to(Packet),
    case mod_muc:find_online_room(Room, Service) == error andalso mod_muc:restore_room(Host, Service, Room) == error of
        false -> Packet;
        true ->
            gate(Host, <<"onBeforeRoomCreate">>, [{<<"actor-nick">>, Nick}, {<<"persistent">>, <<"0">>} | room_of(Packet)], Packet)
    end.

invitation(Packet) ->
    case [Invite || #xmlel{name = <<"x">>, children = Inner} <- (xmpp:encode(Packet))#xmlel.children,
                    #xmlel{name = <<"invite">>} = Invite <- Inner] of
        [Invite | _] ->
            [{<<"target">>, fxml:get_tag_attr_s(<<"to">>, Invite)}, {<<"reason">>, fxml:get_path_s(Invite, [{elem, <<"reason">>}, cdata])}];
        [] -> none
    end.

%% Rooms, in their own processes -----------------------------------------------------------------------------------------------

about(#state{jid = JID, config = #config{title = Title}}) ->
    [{<<"room">>, full(JID)} | [{<<"room-name">>, Title} || Title /= <<>>]].

by(Room, JID, Nick) ->
    [{<<"actor">>, full(JID)}, {<<"actor-nick">>, Nick} | about(Room)].

nick_of(JID, #state{users = Users}) ->
    case maps:find(jid:tolower(JID), Users) of
        {ok, #user{nick = Nick}} -> Nick;
        error -> <<>>
    end.

%% What stands here is what the room shows next: attempt and fact are one hook.
room_message(#message{} = Packet, #state{} = Room, Nick) ->
    guarded(Packet, fun(Arrived) -> held_post(Arrived, Room, Nick) end);
room_message(Acc, _, _) -> Acc.

held_post(#message{from = From} = Packet, #state{server_host = Host} = Room, Nick) ->
    Attributes = by(Room, From, Nick),
    case {has_content(Packet), is_subject_change(Packet)} of
        {false, _} -> Packet;
        {true, true} ->
            case gate_unchanged(Host, <<"onBeforeSubject">>, Attributes, Packet) of
                drop -> drop;
                Passed ->
                    mod_verbatim_link:tell(Host, <<"onAfterSubject">>, Attributes, encode(Passed)),
                    Passed
            end;
        {true, false} ->
            case gate(Host, <<"onBeforeSend">>, Attributes, Packet) of
                drop -> drop;
                Passed -> gate(Host, <<"onBeforeBroadcast">>, Attributes, Passed)
            end
    end.

is_subject_change(#message{subject = [_ | _], body = [], thread = undefined}) -> true;
is_subject_change(_) -> false.

%% A join, a new nickname, or who is there shows another availability or goes.
room_presence(#presence{type = available, from = From} = Packet, #state{users = Users} = Room, Nick) ->
    case maps:find(jid:tolower(From), Users) of
        error -> guarded(Packet, fun(Arrived) -> joins(Arrived, Room, Nick) end);
        {ok, #user{nick = Nick}} -> Packet;
        {ok, #user{nick = Old}} -> guarded(Packet, fun(Arrived) -> changes_nick(Arrived, Room, Old, Nick) end)
    end;
room_presence(#presence{type = unavailable, status = Status} = Packet, _, _) ->
    put(verbatim_reason, xmpp:get_text(Status)),
    Packet;
room_presence(Acc, _, _) -> Acc.

joins(#presence{from = From} = Packet, #state{server_host = Host} = Room, Nick) ->
    Affiliation = atom_to_binary(mod_muc_room:get_affiliation(From, Room), utf8),
    case gate(Host, <<"onBeforeJoin">>, [{<<"affiliation">>, Affiliation} | by(Room, From, Nick)], Packet) of
        drop ->
            %% The room may have been made for this join; it looks by itself later, too.
            self() ! close_room_if_temporary_and_empty,
            drop;
        Passed ->
            put(verbatim_join, {jid:tolower(From), Nick, Affiliation}),
            Passed
    end.

changes_nick(#presence{from = From} = Packet, #state{server_host = Host} = Room, Old, New) ->
    Attributes = [{<<"what">>, <<"nick">>}, {<<"old-nick">>, Old}, {<<"new-nick">>, New}],
    case gate_unchanged(Host, <<"onBeforeChangeUser">>, Attributes ++ by(Room, From, Old), Packet) of
        drop -> drop;
        Passed ->
            put(verbatim_nick, {Old, jid:tolower(From), New, Attributes ++ by(Room, From, New), Host}),
            Passed
    end.

joined(ServerHost, Room, Host, JID) ->
    LJID = jid:tolower(JID),
    {Nick, Affiliation} = case erase(verbatim_join) of
                              {LJID, Known, Word} -> {Known, Word};
                              _ -> {<<>>, <<>>}
                          end,
    put({verbatim_nick, LJID}, Nick),
    mod_verbatim_link:tell(ServerHost, <<"onAfterJoin">>,
                           [{<<"actor-nick">>, Nick}, {<<"affiliation">>, Affiliation} | occupant(Room, Host, JID)], undefined).

left(ServerHost, Room, Host, JID) ->
    Nick = case erase({verbatim_nick, jid:tolower(JID)}) of undefined -> <<>>; Known -> Known end,
    Reason = case {get(verbatim_destroyed), erase(verbatim_reason)} of
                 {true, _} -> <<"room destroyed">>;
                 {_, undefined} -> <<>>;
                 {_, Text} -> Text
             end,
    mod_verbatim_link:tell(ServerHost, <<"onLeave">>,
                           [{<<"actor-nick">>, Nick}, {<<"reason">>, Reason} | occupant(Room, Host, JID)], undefined).

occupant(Room, Host, JID) ->
    [{<<"room">>, jid:encode({Room, Host, <<>>})}, {<<"actor">>, full(JID)}].

%% Who asks by <iq/>: an owner configures or destroys, an administrator changes people, an occupant reads the archive. All of an
%% <iq/> passes, or nothing.
room_iq(#iq{type = set} = IQ, #state{} = Room) ->
    case guarded(IQ, fun(Arrived) -> held_iq(Arrived, Room) end) of
        drop -> ignore;
        Passed -> Passed
    end;
room_iq(Acc, _) -> Acc.

held_iq(#iq{from = From} = IQ, #state{server_host = Host} = Room) ->
    case is_subscription(IQ) of
        true -> bounce(IQ, {refused, ?NO_SUBSCRIPTIONS});
        false -> ask_in_turn(iq_acts(IQ, Room, mod_muc_room:get_affiliation(From, Room)), IQ, Room, Host, [])
    end.

%% MUC/Sub: is sent all that is said without being there. No hook tells who is subscribed to a room that comes back from the disk.
is_subscription(#iq{type = set} = IQ) -> is_query(IQ, ?NS_MUCSUB, <<"subscribe">>);
is_subscription(_) -> false.

is_query(#iq{type = Type, sub_els = [El]}, Namespace, Name) when Type == get; Type == set ->
    xmpp:get_ns(El) == Namespace andalso xmpp:get_name(El) == Name;
is_query(_, _, _) -> false.

ask_in_turn([], #iq{id = Id, from = From} = IQ, _, Host, Facts) ->
    put(verbatim_facts, {Id, jid:tolower(From), Host, lists:reverse(Facts)}),
    IQ;
ask_in_turn([{Before, After, Attributes, Gate} | Rest], #iq{from = From} = IQ, Room, Host, Facts) ->
    All = Attributes ++ by(Room, From, nick_of(From, Room)),
    case Gate(Host, Before, All, IQ) of
        drop ->
            erase(verbatim_destroyed), erase(verbatim_reason),
            drop;
        Passed -> ask_in_turn(Rest, Passed, Room, Host, [{After, All, Passed} || After /= none] ++ Facts)
    end.

%% [{before, after or none, attributes, how it is asked}]
iq_acts(#iq{sub_els = [#muc_owner{destroy = #muc_destroy{reason = Reason, jid = Other}}]}, _, owner) ->
    Alternate = [{<<"alternate">>, full(Other)} || Other /= undefined],
    put(verbatim_destroyed, true),
    [{<<"onDestroy">>, none, [{<<"reason">>, Reason} | Alternate], fun gate_unchanged/4}];
iq_acts(#iq{sub_els = [#muc_owner{config = #xdata{type = submit}}]}, _, owner) ->
    [{<<"onBeforeMetaInfoSet">>, <<"onAfterMetaInfoSet">>, [], fun gate/4}];
iq_acts(#iq{sub_els = [#muc_owner{items = [_ | _] = Items}]}, Room, owner) -> % an older way to say the same
    items_acts(Items, Room);
iq_acts(#iq{sub_els = [#muc_admin{items = Items}]}, Room, _) ->
    items_acts(Items, Room);
iq_acts(IQ, _, _) ->
    case archive_bounds(IQ) of
        none -> [];
        Bounds -> [{<<"onHistory">>, none, Bounds, fun gate_unchanged/4}]
    end.

items_acts(Items, Room) ->
    [item_act(Item, JID, Room) || Item <- Items, JID <- concerned(Item, Room)].

%% Whom an item is about, as mod_muc_room:find_changed_items/7 has it: the address before the nickname; a role, where both are
%% given, before an affiliation. A role is a session's, an affiliation a person's.
concerned(#muc_item{role = undefined, affiliation = undefined}, _) -> [];
concerned(#muc_item{role = undefined} = Item, Room) -> lists:usort([jid:remove_resource(JID) || JID <- named(Item, Room)]);
concerned(#muc_item{role = Role} = Item, Room) -> [JID || JID <- named(Item, Room), mod_muc_room:get_role(JID, Room) /= Role].

named(#muc_item{jid = #jid{} = JID}, _) -> [JID];
named(#muc_item{nick = Nick}, #state{nicks = Nicks, muc_subscribers = #muc_subscribers{subscriber_nicks = Subscribers}}) ->
    [jid:make(LJID) || LJID <- maps:get(Nick, Nicks, maps:get(Nick, Subscribers, []))].

item_act(#muc_item{role = undefined, affiliation = Affiliation, reason = Reason}, JID, Room) ->
    What = case Affiliation of none -> <<"RemoveAffiliation">>; _ -> <<"ChangeAffiliation">> end,
    put(verbatim_reason, <<"affiliation changed: ", Reason/binary>>),
    {<<"onBefore", What/binary>>, <<"onAfter", What/binary>>,
     [{<<"target">>, jid:encode(jid:tolower(JID))}, {<<"affiliation">>, atom_to_binary(Affiliation, utf8)},
      {<<"old-affiliation">>, atom_to_binary(mod_muc_room:get_affiliation(JID, Room), utf8)}, {<<"reason">>, Reason}],
     fun gate_unchanged/4};
item_act(#muc_item{role = Role, reason = Reason}, JID, Room) ->
    put(verbatim_reason, <<"kicked: ", Reason/binary>>),
    {<<"onBeforeChangeUser">>, <<"onAfterChangeUser">>,
     [{<<"what">>, <<"role">>}, {<<"target">>, jid:encode(jid:tolower(JID))}, {<<"target-nick">>, nick_of(JID, Room)}, {<<"reason">>, Reason},
      {<<"role">>, atom_to_binary(Role, utf8)}, {<<"old-role">>, atom_to_binary(mod_muc_room:get_role(JID, Room), utf8)}],
     fun gate_unchanged/4}.

%% What a room's process sends: the answer to an <iq/> that was asked about, the old nickname shown as gone.
routed(#iq{type = Type, id = Id, to = To} = IQ) when Type == result; Type == error ->
    case get(verbatim_facts) of
        {Id, LJID, Host, Facts} ->
            case jid:tolower(To) of
                LJID when Type == result ->
                    [mod_verbatim_link:tell(Host, Name, Attributes, encode_act(Name, Act)) || {Name, Attributes, Act} <- Facts];
                _ -> ok
            end,
            erase(verbatim_facts), erase(verbatim_reason);
        _ -> ok
    end,
    IQ;
routed(#presence{type = unavailable, from = #jid{resource = Old}} = Packet) ->
    case get(verbatim_nick) of
        {Old, LJID, New, Attributes, Host} ->
            erase(verbatim_nick),
            put({verbatim_nick, LJID}, New),
            mod_verbatim_link:tell(Host, <<"onAfterChangeUser">>, Attributes, undefined);
        _ -> ok
    end,
    Packet;
routed(Acc) -> Acc.

encode_act(<<"onAfterMetaInfoSet">>, IQ) -> encode(IQ);
encode_act(_, _) -> undefined.

%% On its way to the invited.
invited(#message{} = Invitation, RoomJID, #config{title = Title}, From, To, Reason, _Packet) ->
    #jid{lserver = Service} = RoomJID,
    Host = host_of_rooms(Service),
    Attributes = [{<<"room">>, full(RoomJID)}, {<<"actor">>, full(From)}, {<<"target">>, full(To)}, {<<"reason">>, Reason}
                  | [{<<"room-name">>, Title} || Title /= <<>>]],
    mod_verbatim_link:tell(Host, <<"onAfterInvite">>, Attributes, undefined),
    Invitation.

%% A room comes to be there, or comes back from the disk; the link knows whether somebody has just asked for it.
room_started(ServerHost, Room, Host) ->
    mod_verbatim_link:room_started(ServerHost, jid:encode({Room, Host, <<>>})).

%% By an administrator's command.
room_created(ServerHost, Room, Host) ->
    mod_verbatim_link:tell(ServerHost, <<"onAfterRoomCreate">>, [{<<"room">>, jid:encode({Room, Host, <<>>})}], undefined).

%% By an owner: that was asked about. Else the last one has left a room that is not persistent.
room_destroyed(ServerHost, Room, Host) ->
    JID = jid:encode({Room, Host, <<>>}),
    case erase(verbatim_destroyed) of
        true -> ok;
        undefined -> mod_verbatim_link:tell(ServerHost, <<"onClose">>, [{<<"room">>, JID}], undefined)
    end,
    mod_verbatim_link:forget_room(ServerHost, JID).

%% The same for a persistent room, of which nothing else is told.
room_removed(ServerHost, Room, Host) ->
    mod_verbatim_link:forget_room(ServerHost, jid:encode({Room, Host, <<>>})).
