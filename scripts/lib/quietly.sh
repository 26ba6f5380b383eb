#!/bin/sh
# Runs a command (apt-get install …) so that no package it installs starts a service, now or at the next boot: they are there for
# the tests, which start their own. /usr/sbin/policy-rc.d (invoke-rc.d(8)) refuses meanwhile, and is put back as it was on every
# way out; after a kill -9 by the next run.
set -u
policy=/usr/sbin/policy-rc.d
kept=$policy.kept-by-backroute
mark='# backroute: no service is started while packages for its tests are installed'

installed() { dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort; }

put_back() {
  if [ -f "$policy" ] && grep -qsxF "$mark" "$policy"; then rm -f "$policy"; fi
  if [ -e "$kept" ] || [ -L "$kept" ]; then mv "$kept" "$policy"; fi
}

# Of the packages that are new: nothing of theirs begins at the next boot either.
keep_off() {
  # Once in the three lists: only there afterwards.
  for package in $(printf '%s\n' "$before" "$before" "$(installed)" | sort | uniq -u); do
    for file in $(dpkg -L "$package"); do
      name=${file##*/}
      case $file in
        */systemd/system/*@*) ;;
        */systemd/system/*.service | */systemd/system/*.socket | */systemd/system/*.timer)
          if command -v systemctl; then systemctl --no-reload disable "$name"; fi ;;
        /etc/init.d/*)
          if command -v update-rc.d; then update-rc.d "$name" disable; fi ;;
      esac
    done
  done >/dev/null 2>&1
}

# Two clones at once take turns.
exec 9>/run/backroute-install.lock
flock 9
put_back
before=$(installed)
# The shell hears a signal when the command has ended: dpkg is not left halfway.
trap 'put_back; keep_off' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
if [ -e "$policy" ] || [ -L "$policy" ]; then mv "$policy" "$kept" || exit 1; fi
printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy" && chmod 755 "$policy" || exit 1

"$@" 9>&-
