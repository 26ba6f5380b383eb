#!/bin/sh
# Constants in every kind of quotes, with defaults and references.
export upstream="gw.provider.example"
readonly domain='example.net'
FAST_ROUTER=${FASTROUTER:-fast-router}
BACK_ROUTER="${BACKROUTER:-backup-router.$domain}"
logdir=/var/log
FASTLOG=${logdir}/fast.log	# one line each time
: ${mailto:="root,admin@$domain ops@example.org"}
mailfrom=gateway@"$domain"
smtpfast=smtp.fast.example:587 smtpback=smtp.backup.example
count=3; interval=${INTERVAL-60}
password='geheim'
host=`hostname`
stamp="$(date "+%F; %T")"
version="it's 2.1"
