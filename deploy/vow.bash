# SPDX-License-Identifier: Apache-2.0
# Completion of vow for bash. Commands and options are read off `vow --help`: they stand in one place.

_vow() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} help
	help=$("${COMP_WORDS[0]}" --help 2>/dev/null) || return
	COMPREPLY=()
	case $before in
	-d | --dir)
		compopt -o dirnames
		return
		;;
	-o | --output) mapfile -t COMPREPLY < <(compgen -W "table json" -- "$word") && return ;;
	-w | --window) mapfile -t COMPREPLY < <(compgen -W "10s 1m 5m 30m 1h 6h 1d 3d 30d" -- "$word") && return ;;
	--color) mapfile -t COMPREPLY < <(compgen -W "auto always never" -- "$word") && return ;;
	routes) mapfile -t COMPREPLY < <(compgen -W "suggest" -- "$word") && return ;;
	config) mapfile -t COMPREPLY < <(compgen -W "check" -- "$word") && return ;;
	check)
		compopt -o default
		return
		;;
	--hub | --for | trace-tls | -s | --service | -r | --route | -n | --limit | --at) return ;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(grep -oE -- '--[a-z-]+' <<<"$help" | sort -u)" -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -W "$(sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\).*/\1/p' <<<"$help" | sort -u)" -- "$word")
	fi
}
complete -F _vow vow
