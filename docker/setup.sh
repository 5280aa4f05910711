#!/bin/sh
# Makes the three nodes of compose.yaml and lets each know the others. Run again, it changes nothing.
set -eu

make_node() {
  id=$1 name=$2 host=$3
  if [ ! -e "/nodes/$id/node.toml" ]; then
    kaopu init "/nodes/$id" --unencrypted --node "$id" --name "$name" --url "https://$host:7443" --listen 0.0.0.0:7443 \
      --store "postgres://kaopu:$KAOPU_DB_PASSWORD@postgres/node_$id"
  fi
}

make_node 310107 上海市普陀区 putuo
make_node 340500 马鞍山市 maanshan
make_node 341200 阜阳市 fuyang

# On one machine the descriptors lie side by side. Between cities they are handed over, and their fingerprints read out.
for own in 310107 340500 341200; do
  for other in 310107 340500 341200; do
    [ "$own" = "$other" ] || kaopu peer add -c "/nodes/$own/node.toml" "/nodes/$other/descriptor.jws"
  done
done

# The nodes run as this user, who must be able to read what root made.
chown -R 10001:10001 /nodes
