upstream=212.254.0.1
fastrouter=192.168.1.253
backrouter=192.168.1.1
fastif=eth1
backif=eth2
backupstream=203.0.113.1
mailto=admin@example.net
if ping -c1 $upstream; then
  route add default gw $fastrouter
  postconf -e "relayhost = [smtp.fast.example]:587"
  postfix reload
else
  route add default gw $backrouter
  postconf -e 'relayhost=[smtp.backup.example]:25'
  newaliases
  postfix reload
  iptables -t nat -F
  /usr/local/bin/tell-the-boss now
fi
