#!/bin/bash
# route-check: which way out? Run by cron every minute.

upstream=212.254.0.1            # the provider's router
fastrouter=192.168.1.253
backrouter=192.168.1.1
fastlog=/var/log/fastlog
mailto=root

# mail server
mailconf=/etc/exim4/exim4.conf
fastmailconf=/etc/exim4/exim4.conf.fast
backmailconf=/etc/exim4/exim4.conf.back
mailreload="/etc/init.d/exim4 reload"

current=$(route -n | awk '/^0.0.0.0/ {print $2}')

if ping -c 3 -q $upstream >/dev/null 2>&1; then
  if [ "$current" != "$fastrouter" ]; then
    route del default
    route add default gw $fastrouter
    cp -p $fastmailconf $mailconf
    $mailreload
    echo "$(date) fast line is back" >> $fastlog
    echo "back on the fast line" | mail -s "fast line up" $mailto
  fi
else
  if [ "$current" != "$backrouter" ]; then
    route del default
    route add default gw $backrouter
    cp -p $backmailconf $mailconf
    $mailreload
    echo "`date` fast line is down" >> $fastlog
    echo "on the backup line" | mail -s "fast line DOWN" $mailto
  fi
fi
