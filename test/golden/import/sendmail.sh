#!/bin/ksh
# sendmail: two forms of one file, copied by functions; a lock, a state file, a here document
PATH=/sbin:/usr/sbin:/bin:/usr/bin
upstream_router=198.51.100.1
fast_gw=192.0.2.253
backup_gw=192.0.2.1
ETC=/etc/mail
LOCK=/var/run/route-check.pid
secret_token=abc123
admin=webmaster@example.org

go_fast() {
    ip route replace default via $fast_gw
    cp -f $ETC/sendmail.cf.1 $ETC/sendmail.cf
    cat $ETC/mailertable.1 > $ETC/mailertable
    make -C $ETC
    service sendmail restart > /dev/null 2>&1
}

go_backup() {
    ip route replace default via $backup_gw
    cp -f $ETC/sendmail.cf $ETC/sendmail.cf.bak
    cp -f $ETC/sendmail.cf.2 $ETC/sendmail.cf
    cat $ETC/mailertable.2 > $ETC/mailertable
    make -C $ETC
    service sendmail restart > /dev/null 2>&1
    mail -s "switched" $admin <<EOF
It's down. upstream=10.0.0.1
fastrouter=10.0.0.2
EOF
}

case "$1" in
    fast) go_fast ;;
    backup) go_backup ;;
    *)
        for i in 1 2 3; do
            fping -q $upstream_router && exit 0
            sleep 2
        done
        [ -f $LOCK ] || eval "$2"
        upstream_router=203.0.113.9
        go_backup
        ;;
esac
