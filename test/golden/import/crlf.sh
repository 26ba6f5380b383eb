upstream=212.254.0.1
fastrouter="192.168.1.253"
backrouter=192.168.1.1 # backup
fastlog=/var/log/fastlog
mailto=admin@example.net
