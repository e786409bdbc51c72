#!/usr/bin/env escript
%%! -noshell
%% Makes relups with OTP: prints one line of JSON for every line of standard input, in the form of
%% `relctl plan FROM TO --window group --json`. Run by `RELD_OTP=1 cargo test -p reld-plan otp`, which
%% writes the input and records the results in cases.jsonl.
%%
%% A line is a term: {Top, Base, [{Dir, App, AppFile, Appup}], Options}, where Top and Base are
%% {Vsn, Erts, Apps}. AppFile and Appup may be none.

-mode(compile).

main([Root]) ->
    io:setopts([{encoding, utf8}]),
    true = code:set_path([code:lib_dir(App, ebin) || App <- [kernel, stdlib, sasl]]),
    each(Root, 1).

each(Root, Number) ->
    case io:get_line("") of
        eof -> ok;
        Line ->
            Dir = filename:join(Root, integer_to_list(Number)),
            io:format("~ts~n", [json(answer(Dir, term(Line)))]),
            each(Root, Number + 1)
    end.

term(Line) ->
    {ok, Tokens, _} = erl_scan:string(Line),
    {ok, Term} = erl_parse:parse_term(Tokens),
    Term.

answer(Root, {Top, Base, Apps, Wanted}) ->
    Dirs = [write_app(Root, App) || App <- Apps],
    [T, B] = [write_release(Root, Name, Release) || {Name, Release} <- [{"top", Top}, {"base", Base}]],
    Options = [silent, noexec, {path, [Root | lists:usort(Dirs)]} | Wanted],
    #{up => relup(systools:make_relup(T, [B], [], Options)),
      down => relup(systools:make_relup(T, [], [B], Options))}.

write_release(Root, Name, {Vsn, Erts, Apps}) ->
    Core = [{App, vsn(App)} || App <- [kernel, stdlib, sasl]],
    write(filename:join(Root, Name ++ ".rel"), {release, {"shop", Vsn}, {erts, Erts}, Core ++ Apps}),
    filename:join(Root, Name).

write_app(Root, {Name, App, AppFile, Appup}) ->
    Dir = filename:join(Root, Name),
    File = filename:join(Dir, atom_to_list(App)),
    AppFile =:= none orelse write(File ++ ".app", AppFile),
    Appup =:= none orelse write(File ++ ".appup", Appup),
    Dir.

write(File, Term) ->
    ok = filelib:ensure_dir(File),
    ok = file:write_file(File, io_lib:format("~tp.~n", [Term])).

vsn(App) ->
    application:load(App),
    {ok, Vsn} = application:get_key(App, vsn),
    Vsn.

relup({ok, {_, Up, Down}, _, Warnings}) ->
    [{_, _, Script}] = Up ++ Down,
    #{script => [low(Instruction) || Instruction <- Script],
      warnings => [element(1, Warning) || Warning <- Warnings]};
relup({error, _, Reason}) ->
    #{error => problem(Reason)}.

%% Returns the class, and the arguments if those of OTP and reld mean the same.
problem([Reason | _]) -> problem(Reason);
problem({apps, [Circle, _Undefined]}) -> problem(Circle);
problem(Class) when is_atom(Class) -> #{class => Class, args => []};
problem({Class, _}) when Class =:= bad_instruction; Class =:= bad_op_before_point_of_no_return -> #{class => Class};
problem({Class, _}) when Class =:= file_problem; Class =:= error_reading -> #{class => Class};
problem({Class, _}) when Class =:= duplicate_register; Class =:= duplicate_include -> #{class => Class};
problem({Class, _}) when Class =:= duplicate_modules; Class =:= circular_dependencies -> #{class => Class};
problem(Error) when element(1, Error) =:= no_relup -> #{class => no_relup};
problem(Error) ->
    [Class | Args] = tuple_to_list(Error),
    #{class => Class, args => [argument(Arg) || Arg <- Args]}.

argument([C | _] = Vsn) when is_integer(C) -> {string, Vsn};
argument(List) when is_list(List) -> [argument(Item) || Item <- List];
argument(Value) -> Value.

low({load_object_code, {App, Vsn, Modules}}) ->
    #{op => load_object_code, app => App, vsn => {string, Vsn}, modules => Modules};
low({Op, {Module, Pre, Post}}) when Op =:= load; Op =:= remove ->
    #{op => Op, module => Module, pre_purge => purge(Pre), post_purge => purge(Post)};
low({suspend, Modules}) -> #{op => suspend, modules => [suspend(Module) || Module <- Modules]};
low({code_change, Modules}) -> low({code_change, up, Modules});
low({code_change, Mode, Modules}) ->
    #{op => code_change, mode => Mode, modules => [#{module => M, extra => Extra} || {M, Extra} <- Modules]};
low({apply, {application, start, [App, Type]}}) -> #{op => start_application, app => App, type => Type};
low({apply, {application, Function, [App]}}) when Function =/= start ->
    #{op => iolist_to_binary([atom_to_list(Function), "_application"]), app => App};
low({apply, {Module, Function, Args}}) -> #{op => apply, module => Module, function => Function, args => Args};
low({sync_nodes, Id, {Module, Function, Args}}) ->
    #{op => sync_nodes, id => Id, module => Module, function => Function, args => Args};
low({sync_nodes, Id, Nodes}) -> #{op => sync_nodes, id => Id, nodes => Nodes};
low({Op, Modules}) -> #{op => Op, modules => Modules};
low(restart_new_emulator) -> #{op => restart_new_daemon};
low(restart_emulator) -> #{op => restart_daemon};
low(Op) -> #{op => Op}.

suspend({Module, default}) -> suspend(Module);
suspend({Module, Timeout}) -> #{module => Module, timeout_ms => Timeout};
suspend(Module) -> #{module => Module}.

purge(soft_purge) -> soft;
purge(brutal_purge) -> brutal.

json(true) -> "true";
json(false) -> "false";
json(Atom) when is_atom(Atom) -> quoted(atom_to_list(Atom));
json(Binary) when is_binary(Binary) -> quoted(unicode:characters_to_list(Binary));
json({string, Chars}) -> quoted(Chars);
json(Integer) when is_integer(Integer) -> integer_to_list(Integer);
json(Float) when is_float(Float) -> io_lib:format("~w", [Float]);
json(Map) when is_map(Map) ->
    ["{", lists:join(",", [[quoted(key(Key)), ":", json(Value)] || {Key, Value} <- maps:to_list(Map)]), "}"];
json(Tuple) when is_tuple(Tuple) -> json(tuple_to_list(Tuple));
json(List) -> ["[", lists:join(",", [json(Item) || Item <- List]), "]"].

key(Key) when is_atom(Key) -> atom_to_list(Key);
key(Key) -> unicode:characters_to_list(Key).

quoted(Chars) -> ["\"", [escaped(Char) || Char <- Chars], "\""].

escaped(Char) when Char < 32; Char =:= $"; Char =:= $\\ -> io_lib:format("\\u~4.16.0b", [Char]);
escaped(Char) -> Char.
