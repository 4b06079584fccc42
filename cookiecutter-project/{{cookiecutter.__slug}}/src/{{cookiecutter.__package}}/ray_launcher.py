# Made by gen for all projects; do not edit. gen site and gen project write it again.
"""Ray on a machine that others use too: with the resources of its job, a token, and ports that only the job reaches."""

from typing import Any

import dagster_slurm as ds

SETUP = r"""
# Ray needs many open files. The hard limit may be lower.
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
# dagster-slurm calls it in a job of several nodes. Small images of nodes do not have it.
command -v uuidgen >/dev/null || uuidgen() { cat /proc/sys/kernel/random/uuid; }
# Without a token every user of the node may run code in the cluster. A Ray that has no tokens ignores this.
export RAY_AUTH_MODE=token
if [ ! -s ~/.ray/auth_token ]; then
  (umask 077; mkdir -p ~/.ray; od -An -N32 -tx1 /dev/urandom | tr -dc 0-9a-f >~/.ray/auth_token.$$)
  ln ~/.ray/auth_token.$$ ~/.ray/auth_token 2>/dev/null || true  # another job may have been faster
  rm ~/.ray/auth_token.$$
fi
# Ray listens on the loopback alone if this says that it runs on one node. By itself it never does on Linux.
if [ "${SLURM_JOB_NUM_NODES:-1}" = 1 ]; then
  export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0
fi
# Ray would take all CPUs and all memory of the node.
if [ -n "${SLURM_CPUS_ON_NODE:-}" ]; then
  ray_mb=$((${SLURM_MEM_PER_NODE:-0} + ${SLURM_MEM_PER_CPU:-0} * SLURM_CPUS_ON_NODE))
  ray_resources="\"CPU\": $SLURM_CPUS_ON_NODE"
  if [ "$ray_mb" -gt 0 ]; then  # 30 % of it for objects, as Ray does by itself
    ray_resources+=", \"memory\": $((ray_mb * 734003)), \"object_store_memory\": ${ray_objects:-$((ray_mb * 314572))}"
  fi
  export RAY_OVERRIDE_RESOURCES="{$ray_resources}"
fi
"""


class Ray(ds.RayLauncher):
    """The launcher of dagster-slurm, whose dashboard and ports are open to the network of the site."""

    dashboard_host: str = "127.0.0.1"

    def __init__(self, **fields: Any) -> None:
        commands = [command for command in fields.get("pre_start_commands", []) if SETUP not in command]
        size = fields.get("object_store_memory_gb")
        first = SETUP if size is None else f"ray_objects={size * 10**9}{SETUP}"
        super().__init__(**fields | {"pre_start_commands": [first, *commands]})

    def _render_override_block(self, date_fmt: str) -> str:
        return "\n".join(self.pre_start_commands)

    def _render_node_ip_override(self, variable_name: str) -> str:
        usual = super()._render_node_ip_override(variable_name)
        if variable_name != "head_bind_addr":
            return usual
        # Only a job of several nodes needs an address that others reach.
        return usual + '\nif [ "${SLURM_JOB_NUM_NODES:-1}" = 1 ]; then head_bind_addr=127.0.0.1; fi'
