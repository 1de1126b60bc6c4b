#compdef canceld

# Made from the command line's own parser with shtab.


_shtab_canceld_commands() {
  local _commands=(
    agent:'this daemon'"'"'s part in a fleet: kills, re-arming, timers; own process'
    bench:'measure where the time of a cancel goes, on this machine'
    cancel:'cancel orders'
    cancel-all:'cancel everything open on one venue, or on every enabled one'
    check:'say what `run` would do with a configuration; touches no network'
    demo:'watch the daemon at work on a simulated exchange'
    exporter:'tell Prometheus how the daemon is; a process of its own'
    fleet:'one kill for many daemons; an operator'"'"'s own key signs it'
    help:'pages for operators and for those who write strategies'
    install:'lay this version'"'"'s units, configuration, pages and completion'
    journal:'read, filter and verify the audit record; needs no running daemon'
    kill:'pull the kill switch: cancel everything, and keep cancelling until re-armed'
    kill-scope:'cancel what a scope means, and keep cancelling it until re-armed'
    panic:'cancel everything without a daemon, straight at the venues; latches'
    rearm:'re-arm the kill switch, in two steps'
    report:'what happened in a time, as one HTML file; needs no running daemon'
    rests:'which orders are open, as the daemon knows it'
    run:'run the daemon'
    schema:'print the JSON Schema of the messages between strategies and the daemon'
    ship:'copy the record elsewhere, line by line, as it is written'
    sim:'run the simulated exchange alone'
    status:'how the daemon is'
    uninstall:'take away what install laid; state, configuration and keys stay'
    watch:'how the daemon is and what it does, live; ends with q or Ctrl-C'
  )
  _describe 'canceld commands' _commands
}

_shtab_canceld_fleet_commands() {
  local _commands=(
    kill:'kill everything in the fleet, and wait until every daemon is flat'
    make:'make the fleet'"'"'s bucket, once'
    rearm:'end a kill: two persons, each with a one-time code from a host'
    status:'how every daemon stands'
  )
  _describe 'canceld fleet commands' _commands
}

_shtab_canceld_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "(- : *)--version[show program\'s version number and exit]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_defaults_added=0

_shtab_canceld_agent_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--config[the daemon\'s configuration, with its \[fleet\]]:FILE:_files"
  "--before-start[latch a daemon that is to start beside a kill]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_agent_defaults_added=0

_shtab_canceld_bench_options=(
  
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_bench_defaults_added=0

_shtab_canceld_cancel_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--cl-ord-id[the IDs are client order ids]"
  "--userref[the IDs are userrefs (Spot)]"
  "--symbol[of the orders\; only Prime needs it, for orders it has not seen open]:symbol:"
  "--until[answer at the venue\'s acceptance (default), or at the proof that the order left the book]:until:(ack proof)"
  "--deadline-ms[1..60000]:MS:"
  "--endpoint[of the daemon\'s socket, like ipc\:\/\/\/run\/canceld\/commands.sock]:endpoint:"
  "--config[the daemon\'s configuration, to find its socket]:FILE:_files"
  "--json[print JSON, one message per line]"
  ":spot\|prime\|futures:(spot prime futures)"
  "(*):the venue\'s order ids, unless a flag says otherwise:"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_cancel_defaults_added=0

_shtab_canceld_cancel_all_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "*--scope[a selector, all of whose members must fit\: venue, order_id, cl_ord_id, userref, cl_ord_id_prefix, symbol, side, older_than_ms, strategy\; may be repeated]:MEMBER=VALUE[,…]:"
  "--dry-run[cancel nothing\: tell what would be]"
  "--until[answer at the venue\'s acceptance (default), or at the proof that the order left the book]:until:(ack proof)"
  "--deadline-ms[1..60000]:MS:"
  "--endpoint[of the daemon\'s socket, like ipc\:\/\/\/run\/canceld\/commands.sock]:endpoint:"
  "--config[the daemon\'s configuration, to find its socket]:FILE:_files"
  "--json[print JSON, one message per line]"
  ":spot\|prime\|futures:(spot prime futures)"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_cancel_all_defaults_added=0

_shtab_canceld_check_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--config[FILE]:FILE:_files"
  "--online[then sign in at every venue, and prove the right to cancel with an order that cannot exist]"
  "--json[print JSON, one message per line]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_check_defaults_added=0

_shtab_canceld_demo_options=(
  
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_demo_defaults_added=0

_shtab_canceld_exporter_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--listen[default\: 127.0.0.1\:9742]:HOST:PORT:"
  "--endpoint[of the daemon\'s socket, like ipc\:\/\/\/run\/canceld\/commands.sock]:endpoint:"
  "--config[the daemon\'s configuration, to find its socket]:FILE:_files"
  "--json[print JSON, one message per line]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_exporter_defaults_added=0

_shtab_canceld_fleet_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_fleet_defaults_added=0

_shtab_canceld_fleet_kill_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--reason[goes into every record]:TEXT:"
  "--wait[for so long (default\: 20.0)]:S:"
  "--group[the daemons of a group alone]:NAME:"
  "--account[the daemons of an account alone]:NAME:"
  "--config[the daemon\'s configuration, with its \[fleet\]]:FILE:_files"
  "--json[print JSON, one message per line]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_fleet_kill_defaults_added=0

_shtab_canceld_fleet_make_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--config[the daemon\'s configuration, with its \[fleet\]]:FILE:_files"
  "--json[print JSON, one message per line]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_fleet_make_defaults_added=0

_shtab_canceld_fleet_rearm_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--code[what the first step has printed]:HOST:ACCOUNT:CODE:"
  "--reason[goes into every record]:TEXT:"
  "--group[the daemons of a group alone]:NAME:"
  "--account[the daemons of an account alone]:NAME:"
  "--config[the daemon\'s configuration, with its \[fleet\]]:FILE:_files"
  "--json[print JSON, one message per line]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_fleet_rearm_defaults_added=0

_shtab_canceld_fleet_status_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--watch[once a second, until Ctrl-C]"
  "--config[the daemon\'s configuration, with its \[fleet\]]:FILE:_files"
  "--json[print JSON, one message per line]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_fleet_status_defaults_added=0

_shtab_canceld_help_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--json[print JSON, one message per line]"
  ":kill, scopes, outcomes, venues, clients, leases, deadman, service, container, record, bench, fleet:(kill scopes outcomes venues clients leases deadman service container record bench fleet)"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_help_defaults_added=0

_shtab_canceld_install_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--account[also what canceld\@NAME needs of its own]:NAME:"
  "--root[of the machine, or of an image\; default\: \/]:DIR:_files -/"
  "--dry-run[change nothing\: tell what would be done]"
  "--json[print JSON, one message per line]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_install_defaults_added=0

_shtab_canceld_journal_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--config[the daemon\'s configuration\: its state.dir]:FILE:_files"
  "--since[2026-01-31, 2026-01-31T12\:00\:00Z, or 15m (s, m, h, d) ago]:T:"
  "--until[the same]:T:"
  "--order[order id, client order id or userref\; frames are looked into]:ID:"
  "--strategy[what is recorded with this strategy\'s name]:S:"
  "--outcome[acked, canceled, closed, not_open, rejected, unknown, refused]:O:(acked canceled closed not_open rejected unknown refused)"
  "--id[of the command]:ID:"
  "*--kind[command, decision, kill\; may be repeated]:K:"
  "--venue[spot\|prime\|futures]:VENUE:(spot prime futures)"
  "--who[a uid or pid, or words of who it was\: command line, unit, login]:W:"
  "--last[the last N lines of what is wanted]:N:"
  "--follow[go on with what is written\; ends with Ctrl-C]"
  "--frames[with frames, which --json and --kind have anyhow]"
  "--verify[find changed, missing and moved lines\: status 1]"
  "--against[with --verify\: compare it with what was shipped to the bus\; fleet\: its \[fleet\]]:URL:"
  "--json[print JSON, one message per line]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_journal_defaults_added=0

_shtab_canceld_kill_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--reason[goes into the record\; any text, or none]:TEXT:"
  "--drill[cancel nothing\: walk the whole path with orders that cannot exist]"
  "*--venue[default\: all]:VENUE:(spot prime futures)"
  "--deadline-ms[1..60000]:MS:"
  "--endpoint[of the daemon\'s socket, like ipc\:\/\/\/run\/canceld\/commands.sock]:endpoint:"
  "--config[the daemon\'s configuration, to find its socket]:FILE:_files"
  "--json[print JSON, one message per line]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_kill_defaults_added=0

_shtab_canceld_kill_scope_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--reason[goes into the record]:TEXT:"
  "*--scope[a selector, all of whose members must fit\: venue, order_id, cl_ord_id, userref, cl_ord_id_prefix, symbol, side, older_than_ms, strategy\; may be repeated]:MEMBER=VALUE[,…]:"
  "--dry-run[latch nothing\: tell what it means now]"
  "--deadline-ms[1..60000]:MS:"
  "--endpoint[of the daemon\'s socket, like ipc\:\/\/\/run\/canceld\/commands.sock]:endpoint:"
  "--config[the daemon\'s configuration, to find its socket]:FILE:_files"
  "--json[print JSON, one message per line]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_kill_scope_defaults_added=0

_shtab_canceld_panic_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--config[FILE]:FILE:_files"
  "--reason[goes into the record\; any text, or none]:TEXT:"
  "--timeout-s[how long a venue is swept at most (default\: 30)]:S:"
  "--json[print JSON, one message per line]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_panic_defaults_added=0

_shtab_canceld_rearm_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--confirm[the second step, with the code that the first one gave]:CODE:"
  "--reason[goes into the record\; asked for at a terminal]:TEXT:"
  "--force[although orders still rest\; goes into the record]"
  "--deadline-ms[1..60000]:MS:"
  "--endpoint[of the daemon\'s socket, like ipc\:\/\/\/run\/canceld\/commands.sock]:endpoint:"
  "--config[the daemon\'s configuration, to find its socket]:FILE:_files"
  "--json[print JSON, one message per line]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_rearm_defaults_added=0

_shtab_canceld_report_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--config[the daemon\'s configuration\: its state.dir]:FILE:_files"
  "--since[as \`journal\` takes it\: 1h, 2026-01-31T12\:00\:00Z]:T:"
  "--until[the same]:T:"
  "--out[the file to write\; one that is there is replaced]:FILE:_files"
  "--json[print JSON, one message per line]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_report_defaults_added=0

_shtab_canceld_rests_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--order-id[ORDER_ID]:ORDER_ID:"
  "--cl-ord-id[CL_ORD_ID]:CL_ORD_ID:"
  "--userref[USERREF]:USERREF:"
  "--cl-ord-id-prefix[CL_ORD_ID_PREFIX]:CL_ORD_ID_PREFIX:"
  "--symbol[SYMBOL]:SYMBOL:"
  "--side[SIDE]:SIDE:"
  "--older-than-ms[OLDER_THAN_MS]:OLDER_THAN_MS:"
  "--strategy[STRATEGY]:STRATEGY:"
  "--fresh[ask every venue first]"
  "--deadline-ms[1..60000]:MS:"
  "--endpoint[of the daemon\'s socket, like ipc\:\/\/\/run\/canceld\/commands.sock]:endpoint:"
  "--config[the daemon\'s configuration, to find its socket]:FILE:_files"
  "--json[print JSON, one message per line]"
  ":spot\|prime\|futures:(spot prime futures)"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_rests_defaults_added=0

_shtab_canceld_run_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--config[FILE]:FILE:_files"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_run_defaults_added=0

_shtab_canceld_schema_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--json[print JSON, one message per line]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_schema_defaults_added=0

_shtab_canceld_ship_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--config[the daemon\'s configuration, with its \[fleet\]]:FILE:_files"
  "--to[a file of lines instead of the bus\; -\: the standard output]:FILE:_files"
  "--position[with --to -\: where to keep how far it got]:FILE:_files"
  "--once[to the present end of the record, then end]"
  "--make[make the stream of this record, once, and end]"
  "--max-bytes[of the stream that is made\; default\: none]:N:"
  "--json[print JSON, one message per line]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_ship_defaults_added=0

_shtab_canceld_sim_options=(
  
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_sim_defaults_added=0

_shtab_canceld_status_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--detail[with counters and latencies]"
  "--deadline-ms[1..60000]:MS:"
  "--endpoint[of the daemon\'s socket, like ipc\:\/\/\/run\/canceld\/commands.sock]:endpoint:"
  "--config[the daemon\'s configuration, to find its socket]:FILE:_files"
  "--json[print JSON, one message per line]"
  "--check[exit status 0\: can cancel everywhere, 1\: degraded or latched, 3\: cannot]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_status_defaults_added=0

_shtab_canceld_uninstall_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--root[of the machine, or of an image\; default\: \/]:DIR:_files -/"
  "--dry-run[change nothing\: tell what would be done]"
  "--json[print JSON, one message per line]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_uninstall_defaults_added=0

_shtab_canceld_watch_options=(
  "(- : *)"{-h,--help}"[show this help message and exit]"
  "--once[print one picture and end]"
  "--events[of the event socket\; else beside the other one]:ENDPOINT:"
  "--endpoint[of the daemon\'s socket, like ipc\:\/\/\/run\/canceld\/commands.sock]:endpoint:"
  "--config[the daemon\'s configuration, to find its socket]:FILE:_files"
  "--json[print JSON, one message per line]"
)

# guard to ensure default positional specs are added only once per session
_shtab_canceld_watch_defaults_added=0


_shtab_canceld() {
  local context state line curcontext="$curcontext" one_or_more='(*)' remainder='(-)*:' default='*::: :->canceld'

  # Add default positional/remainder specs only if none exist, and only once per session
  if (( ! _shtab_canceld_defaults_added )); then
    if (( ${_shtab_canceld_options[(I)${(q)one_or_more}*]} +          ${_shtab_canceld_options[(I)${(q)remainder}*]} +          ${_shtab_canceld_options[(I)${(q)default}]} == 0 )); then
      _shtab_canceld_options+=(': :_shtab_canceld_commands' '*::: :->canceld')
    fi
    _shtab_canceld_defaults_added=1
  fi
  _arguments -C -s $_shtab_canceld_options

  case $state in
    canceld)
      words=($line[1] "${words[@]}")
      (( CURRENT += 1 ))
      curcontext="${curcontext%:*:*}:_shtab_canceld-$line[1]:"
      case $line[1] in
        agent) _arguments -C -s $_shtab_canceld_agent_options ;;
        bench) _arguments -C -s $_shtab_canceld_bench_options ;;
        cancel) _arguments -C -s $_shtab_canceld_cancel_options ;;
        cancel-all) _arguments -C -s $_shtab_canceld_cancel_all_options ;;
        check) _arguments -C -s $_shtab_canceld_check_options ;;
        demo) _arguments -C -s $_shtab_canceld_demo_options ;;
        exporter) _arguments -C -s $_shtab_canceld_exporter_options ;;
        fleet) _shtab_canceld_fleet ;;
        help) _arguments -C -s $_shtab_canceld_help_options ;;
        install) _arguments -C -s $_shtab_canceld_install_options ;;
        journal) _arguments -C -s $_shtab_canceld_journal_options ;;
        kill) _arguments -C -s $_shtab_canceld_kill_options ;;
        kill-scope) _arguments -C -s $_shtab_canceld_kill_scope_options ;;
        panic) _arguments -C -s $_shtab_canceld_panic_options ;;
        rearm) _arguments -C -s $_shtab_canceld_rearm_options ;;
        report) _arguments -C -s $_shtab_canceld_report_options ;;
        rests) _arguments -C -s $_shtab_canceld_rests_options ;;
        run) _arguments -C -s $_shtab_canceld_run_options ;;
        schema) _arguments -C -s $_shtab_canceld_schema_options ;;
        ship) _arguments -C -s $_shtab_canceld_ship_options ;;
        sim) _arguments -C -s $_shtab_canceld_sim_options ;;
        status) _arguments -C -s $_shtab_canceld_status_options ;;
        uninstall) _arguments -C -s $_shtab_canceld_uninstall_options ;;
        watch) _arguments -C -s $_shtab_canceld_watch_options ;;
      esac
  esac
}

_shtab_canceld_fleet() {
  local context state line curcontext="$curcontext" one_or_more='(*)' remainder='(-)*:' default='*::: :->fleet'

  # Add default positional/remainder specs only if none exist, and only once per session
  if (( ! _shtab_canceld_fleet_defaults_added )); then
    if (( ${_shtab_canceld_fleet_options[(I)${(q)one_or_more}*]} +          ${_shtab_canceld_fleet_options[(I)${(q)remainder}*]} +          ${_shtab_canceld_fleet_options[(I)${(q)default}]} == 0 )); then
      _shtab_canceld_fleet_options+=(': :_shtab_canceld_fleet_commands' '*::: :->fleet')
    fi
    _shtab_canceld_fleet_defaults_added=1
  fi
  _arguments -C -s $_shtab_canceld_fleet_options

  case $state in
    fleet)
      words=($line[1] "${words[@]}")
      (( CURRENT += 1 ))
      curcontext="${curcontext%:*:*}:_shtab_canceld_fleet-$line[1]:"
      case $line[1] in
        kill) _arguments -C -s $_shtab_canceld_fleet_kill_options ;;
        make) _arguments -C -s $_shtab_canceld_fleet_make_options ;;
        rearm) _arguments -C -s $_shtab_canceld_fleet_rearm_options ;;
        status) _arguments -C -s $_shtab_canceld_fleet_status_options ;;
      esac
  esac
}



typeset -A opt_args

if [[ $zsh_eval_context[-1] == eval ]]; then
  # eval/source/. command, register function for later
  compdef _shtab_canceld -N canceld
else
  # autoload from fpath, call function directly
  _shtab_canceld "$@"
fi
