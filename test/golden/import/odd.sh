upstream=212.254.0.1
upstream=212.254.0.2
fastrouter=my_router
fastrouter=192.168.1.253
backrouter=192.168.1.253
fastlog=log.txt
mailto="a@example.net
Bcc: b@example.net"
mailconf=/etc/postfix/main.cf
fastmailconf=/etc/postfix/main.fast
ln -sf /etc/a.fast /etc/a
cp /etc/resolv.conf.unclear /etc/resolv.conf
cp /etc/hosts.backup /etc/hosts
reloadmail="postfix reload; newaliases"
list=(1 2 3)
eval upstream=1.2.3.4
curl -u user:geheim https://user:geheim@example.net/
"unclosed
