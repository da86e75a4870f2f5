/** What a shell reads to complete `drops`: it asks drops itself for every word, so the script never grows old. */
export const COMPLETION_SCRIPTS = {
  bash: `# drops: completion for bash. In ~/.bashrc:  source <(drops completion bash)
_drops() {
  local IFS=$'\\n' answer
  answer=($("$1" complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)) || return 0
  COMPREPLY=()
  if [[ \${answer[0]} == files ]]; then
    compopt -o default 2>/dev/null
    return 0
  fi
  local line
  for line in "\${answer[@]:1}"; do COMPREPLY+=("\${line%%$'\\t'*}"); done
}
complete -F _drops drops
`,
  zsh: `#compdef drops
# drops: completion for zsh. In ~/.zshrc, after compinit:  source <(drops completion zsh)
_drops() {
  local -a answer candidates
  local line
  answer=("\${(@f)$("\${words[1]}" complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ $answer[1] == files ]]; then
    _files
    return
  fi
  for line in "\${(@)answer[2,-1]}"; do candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}"); done
  _describe drops candidates
}
if [[ \${zsh_eval_context[-1]} == loadautofunc ]]; then _drops "$@"; else compdef _drops drops; fi
`,
  fish: `# drops: completion for fish. Once:  drops completion fish > ~/.config/fish/completions/drops.fish
function __drops_complete
    set -l before (commandline -opc)
    set -l answer ($before[1] complete -- $before[2..-1] (commandline -ct) 2>/dev/null)
    if test "$answer[1]" = files
        __fish_complete_path (commandline -ct)
    else
        printf '%s\\n' $answer[2..-1]
    end
end
complete -c drops -f -a '(__drops_complete)'
`,
} as const;

export type CompletionShell = keyof typeof COMPLETION_SCRIPTS;
