# Made from the command line's own parser with shtab.

_shtab_canceld_fleet_subparsers=(make kill status rearm)
_shtab_canceld_subparsers=(run check sim demo bench cancel cancel-all kill rests kill-scope rearm status watch panic journal report ship agent fleet exporter install uninstall help schema)

_shtab_canceld_run_option_strings=(-h --help --config)
_shtab_canceld_check_option_strings=(-h --help --config --online --json)
_shtab_canceld_sim_option_strings=()
_shtab_canceld_demo_option_strings=()
_shtab_canceld_bench_option_strings=()
_shtab_canceld_cancel_option_strings=(-h --help --cl-ord-id --userref --symbol --until --deadline-ms --endpoint --config --json)
_shtab_canceld_cancel_all_option_strings=(-h --help --scope --dry-run --until --deadline-ms --endpoint --config --json)
_shtab_canceld_kill_option_strings=(-h --help --reason --drill --venue --deadline-ms --endpoint --config --json)
_shtab_canceld_rests_option_strings=(-h --help --order-id --cl-ord-id --userref --cl-ord-id-prefix --symbol --side --older-than-ms --strategy --fresh --deadline-ms --endpoint --config --json)
_shtab_canceld_kill_scope_option_strings=(-h --help --reason --scope --dry-run --deadline-ms --endpoint --config --json)
_shtab_canceld_rearm_option_strings=(-h --help --confirm --reason --force --deadline-ms --endpoint --config --json)
_shtab_canceld_status_option_strings=(-h --help --detail --deadline-ms --endpoint --config --json --check)
_shtab_canceld_watch_option_strings=(-h --help --once --events --endpoint --config --json)
_shtab_canceld_panic_option_strings=(-h --help --config --reason --timeout-s --json)
_shtab_canceld_journal_option_strings=(-h --help --config --since --until --order --strategy --outcome --id --kind --venue --who --last --follow --frames --verify --against --json)
_shtab_canceld_report_option_strings=(-h --help --config --since --until --out --json)
_shtab_canceld_ship_option_strings=(-h --help --config --to --position --once --make --max-bytes --json)
_shtab_canceld_agent_option_strings=(-h --help --config --before-start)
_shtab_canceld_fleet_make_option_strings=(-h --help --config --json)
_shtab_canceld_fleet_kill_option_strings=(-h --help --reason --wait --group --account --config --json)
_shtab_canceld_fleet_status_option_strings=(-h --help --watch --config --json)
_shtab_canceld_fleet_rearm_option_strings=(-h --help --code --reason --group --account --config --json)
_shtab_canceld_fleet_option_strings=(-h --help)
_shtab_canceld_exporter_option_strings=(-h --help --listen --endpoint --config --json)
_shtab_canceld_install_option_strings=(-h --help --account --root --dry-run --json)
_shtab_canceld_uninstall_option_strings=(-h --help --root --dry-run --json)
_shtab_canceld_help_option_strings=(-h --help --json)
_shtab_canceld_schema_option_strings=(-h --help --json)
_shtab_canceld_option_strings=(-h --help --version)

_shtab_canceld_run___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_check___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_cancel___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_cancel_all___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_kill___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_rests___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_kill_scope___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_rearm___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_status___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_watch___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_panic___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_journal___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_report___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_report___out_COMPGEN=_shtab_compgen_files
_shtab_canceld_ship___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_ship___to_COMPGEN=_shtab_compgen_files
_shtab_canceld_ship___position_COMPGEN=_shtab_compgen_files
_shtab_canceld_agent___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_fleet_make___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_fleet_kill___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_fleet_status___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_fleet_rearm___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_exporter___config_COMPGEN=_shtab_compgen_files
_shtab_canceld_install___root_COMPGEN=_shtab_compgen_dirs
_shtab_canceld_uninstall___root_COMPGEN=_shtab_compgen_dirs

_shtab_canceld_cancel_pos_0_choices=(spot prime futures)
_shtab_canceld_cancel___until_choices=(ack proof)
_shtab_canceld_cancel_all_pos_0_choices=(spot prime futures)
_shtab_canceld_cancel_all___until_choices=(ack proof)
_shtab_canceld_kill___venue_choices=(spot prime futures)
_shtab_canceld_rests_pos_0_choices=(spot prime futures)
_shtab_canceld_journal___outcome_choices=(acked canceled closed not_open rejected unknown refused)
_shtab_canceld_journal___venue_choices=(spot prime futures)
_shtab_canceld_fleet_pos_0_choices=(make kill status rearm)
_shtab_canceld_help_pos_0_choices=(kill scopes outcomes venues clients leases deadman service container record bench fleet)
_shtab_canceld_pos_0_choices=(run check sim demo bench cancel cancel-all kill rests kill-scope rearm status watch panic journal report ship agent fleet exporter install uninstall help schema)

_shtab_canceld_run__h_nargs=0
_shtab_canceld_run___help_nargs=0
_shtab_canceld_check__h_nargs=0
_shtab_canceld_check___help_nargs=0
_shtab_canceld_check___online_nargs=0
_shtab_canceld_check___json_nargs=0
_shtab_canceld_cancel_pos_1_nargs=+
_shtab_canceld_cancel__h_nargs=0
_shtab_canceld_cancel___help_nargs=0
_shtab_canceld_cancel___cl_ord_id_nargs=0
_shtab_canceld_cancel___userref_nargs=0
_shtab_canceld_cancel___json_nargs=0
_shtab_canceld_cancel_all__h_nargs=0
_shtab_canceld_cancel_all___help_nargs=0
_shtab_canceld_cancel_all___dry_run_nargs=0
_shtab_canceld_cancel_all___json_nargs=0
_shtab_canceld_kill__h_nargs=0
_shtab_canceld_kill___help_nargs=0
_shtab_canceld_kill___drill_nargs=0
_shtab_canceld_kill___json_nargs=0
_shtab_canceld_rests__h_nargs=0
_shtab_canceld_rests___help_nargs=0
_shtab_canceld_rests___fresh_nargs=0
_shtab_canceld_rests___json_nargs=0
_shtab_canceld_kill_scope__h_nargs=0
_shtab_canceld_kill_scope___help_nargs=0
_shtab_canceld_kill_scope___dry_run_nargs=0
_shtab_canceld_kill_scope___json_nargs=0
_shtab_canceld_rearm__h_nargs=0
_shtab_canceld_rearm___help_nargs=0
_shtab_canceld_rearm___force_nargs=0
_shtab_canceld_rearm___json_nargs=0
_shtab_canceld_status__h_nargs=0
_shtab_canceld_status___help_nargs=0
_shtab_canceld_status___detail_nargs=0
_shtab_canceld_status___json_nargs=0
_shtab_canceld_status___check_nargs=0
_shtab_canceld_watch__h_nargs=0
_shtab_canceld_watch___help_nargs=0
_shtab_canceld_watch___once_nargs=0
_shtab_canceld_watch___json_nargs=0
_shtab_canceld_panic__h_nargs=0
_shtab_canceld_panic___help_nargs=0
_shtab_canceld_panic___json_nargs=0
_shtab_canceld_journal__h_nargs=0
_shtab_canceld_journal___help_nargs=0
_shtab_canceld_journal___follow_nargs=0
_shtab_canceld_journal___frames_nargs=0
_shtab_canceld_journal___verify_nargs=0
_shtab_canceld_journal___json_nargs=0
_shtab_canceld_report__h_nargs=0
_shtab_canceld_report___help_nargs=0
_shtab_canceld_report___json_nargs=0
_shtab_canceld_ship__h_nargs=0
_shtab_canceld_ship___help_nargs=0
_shtab_canceld_ship___once_nargs=0
_shtab_canceld_ship___make_nargs=0
_shtab_canceld_ship___json_nargs=0
_shtab_canceld_agent__h_nargs=0
_shtab_canceld_agent___help_nargs=0
_shtab_canceld_agent___before_start_nargs=0
_shtab_canceld_fleet_make__h_nargs=0
_shtab_canceld_fleet_make___help_nargs=0
_shtab_canceld_fleet_make___json_nargs=0
_shtab_canceld_fleet_kill__h_nargs=0
_shtab_canceld_fleet_kill___help_nargs=0
_shtab_canceld_fleet_kill___json_nargs=0
_shtab_canceld_fleet_status__h_nargs=0
_shtab_canceld_fleet_status___help_nargs=0
_shtab_canceld_fleet_status___watch_nargs=0
_shtab_canceld_fleet_status___json_nargs=0
_shtab_canceld_fleet_rearm__h_nargs=0
_shtab_canceld_fleet_rearm___help_nargs=0
_shtab_canceld_fleet_rearm___json_nargs=0
_shtab_canceld_fleet_pos_0_nargs=A...
_shtab_canceld_fleet__h_nargs=0
_shtab_canceld_fleet___help_nargs=0
_shtab_canceld_exporter__h_nargs=0
_shtab_canceld_exporter___help_nargs=0
_shtab_canceld_exporter___json_nargs=0
_shtab_canceld_install__h_nargs=0
_shtab_canceld_install___help_nargs=0
_shtab_canceld_install___dry_run_nargs=0
_shtab_canceld_install___json_nargs=0
_shtab_canceld_uninstall__h_nargs=0
_shtab_canceld_uninstall___help_nargs=0
_shtab_canceld_uninstall___dry_run_nargs=0
_shtab_canceld_uninstall___json_nargs=0
_shtab_canceld_help__h_nargs=0
_shtab_canceld_help___help_nargs=0
_shtab_canceld_help___json_nargs=0
_shtab_canceld_schema__h_nargs=0
_shtab_canceld_schema___help_nargs=0
_shtab_canceld_schema___json_nargs=0
_shtab_canceld_pos_0_nargs=A...
_shtab_canceld__h_nargs=0
_shtab_canceld___help_nargs=0
_shtab_canceld___version_nargs=0


# $1=COMP_WORDS[1]
_shtab_compgen_files() {
  compgen -f -- $1  # files
}

# $1=COMP_WORDS[1]
_shtab_compgen_dirs() {
  compgen -d -- $1  # recurse into subdirs
}

# $1=COMP_WORDS[1]
_shtab_replace_nonword() {
  echo "${1//[^[:word:]]/_}"
}

# set default values (called for the initial parser & any subparsers)
_set_parser_defaults() {
  local subparsers_var="${prefix}_subparsers[@]"
  sub_parsers=${!subparsers_var-}

  local current_option_strings_var="${prefix}_option_strings[@]"
  current_option_strings=${!current_option_strings_var}

  completed_positional_actions=0

  _set_new_action "pos_$completed_positional_actions" true
}

# $1=action identifier
# $2=positional action (bool)
# set all identifiers for an action's parameters
_set_new_action() {
  current_action="${prefix}_$(_shtab_replace_nonword $1)"

  local current_action_compgen_var=${current_action}_COMPGEN
  current_action_compgen="${!current_action_compgen_var-}"

  local current_action_choices_var="${current_action}_choices[@]"
  current_action_choices="${!current_action_choices_var-}"

  local current_action_nargs_var="${current_action}_nargs"
  if [ -n "${!current_action_nargs_var-}" ]; then
    current_action_nargs="${!current_action_nargs_var}"
  else
    current_action_nargs=1
  fi

  current_action_args_start_index=$(( $word_index + 1 - $pos_only ))

  current_action_is_positional=$2
}

# Notes:
# `COMPREPLY`: what will be rendered after completion is triggered
# `completing_word`: currently typed word to generate completions for
# `${!var}`: evaluates the content of `var` and expand its content as a variable
#     hello="world"
#     x="hello"
#     ${!x} -> ${hello} -> "world"
_shtab_canceld() {
  local completing_word="${COMP_WORDS[COMP_CWORD]}"
  local previous_word="${COMP_WORDS[COMP_CWORD-1]}"
  local completed_positional_actions
  local current_action
  local current_action_args_start_index
  local current_action_choices
  local current_action_compgen
  local current_action_is_positional
  local current_action_nargs
  local current_option_strings
  local sub_parsers
  COMPREPLY=()

  local prefix=_shtab_canceld
  local word_index=0
  local pos_only=0 # "--" delimiter not encountered yet
  _set_parser_defaults
  word_index=1

  # determine what arguments are appropriate for the current state
  # of the arg parser
  while [ $word_index -ne $COMP_CWORD ]; do
    local this_word="${COMP_WORDS[$word_index]}"

    if [[ $pos_only = 1 || " $this_word " != " -- " ]]; then
      if [[ -n $sub_parsers && " ${sub_parsers[@]} " == *" $this_word "* ]]; then
        # valid subcommand: add it to the prefix & reset the current action
        prefix="${prefix}_$(_shtab_replace_nonword $this_word)"
        _set_parser_defaults
      fi

      if [[ " ${current_option_strings[@]} " == *" $this_word "* ]]; then
        # a new action should be acquired (due to recognised option string or
        # no more input expected from current action);
        # the next positional action can fill in here
        _set_new_action $this_word false
      fi

      if [[ "$current_action_nargs" != "*" ]] && \
         [[ "$current_action_nargs" != "+" ]] && \
         [[ "$current_action_nargs" != "?" ]] && \
         [[ "$current_action_nargs" != *"..." ]] && \
         (( $word_index + 1 - $current_action_args_start_index - $pos_only >= \
            $current_action_nargs )); then
        $current_action_is_positional && let "completed_positional_actions += 1"
        _set_new_action "pos_$completed_positional_actions" true
      fi
    else
      pos_only=1 # "--" delimiter encountered
    fi

    let "word_index+=1"
  done

  # Generate the completions

  COMPREPLY=()
  if [[ $pos_only = 0 && "$completing_word" == -* &&
        ( -z "$current_action_compgen" || "$current_action_is_positional" = true ) ]]; then
    # optional argument started: use option strings
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(
      compgen -W "${current_option_strings[*]}" -- "$completing_word")
  elif [[ "$previous_word" =~ ^[0-9\&]*[\<\>]\>?$ ]]; then
    # handle redirection operators
    compopt -o filenames 2>/dev/null || : # bash>=4
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$completing_word")
  else
    # use choices & compgen
    local action_compgen_word="$completing_word"
    # handle tab-completing in the middle of a line (#248 <- #116)
    [[ -n "$current_action_compgen" && "$completing_word" == -* ]] && action_compgen_word=""
    [ -n "$current_action_compgen" ] && {
      [[ "$current_action_compgen" =~ _(file|dir|glob|FILE|DIR|GLOB)|File|Dir|Glob ]] &&
        compopt -o filenames 2>/dev/null || : # bash>=4
      while IFS= read -r line; do COMPREPLY+=("$line"); done < <(
        "$current_action_compgen" "$action_compgen_word")
    }
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(
      compgen -W "${current_action_choices[*]}" -- "$completing_word")
  fi

  if [[ ${#COMPREPLY[@]} = 0 ]]; then
    # native fallback matches are not necessarily filenames (e.g. variables)
    compopt +o filenames 2>/dev/null || : # bash>=4
  fi

  return 0
}

complete -o bashdefault -F _shtab_canceld canceld