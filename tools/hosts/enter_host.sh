#!/bin/sh
# enter_host.sh ADDRESS COMMAND...: runs a command on a host of hosts.py, as ssh would on another machine; mpirun's plm_rsh_agent.
host=${TARDIGRAD_HOSTS}h$((${1##*.} - 1))
shift
exec ip netns exec "$host" unshare --uts sh -c "hostname $host; $*"
