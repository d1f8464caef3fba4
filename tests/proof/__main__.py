"""`python -m tests.proof kills|chaos|power-loss|soak|load ...`: the long versions of the proofs, with their figures."""

import sys

if __name__ == "__main__":
    from tests.proof import chaos, kills, load, power_loss, soak

    proofs = {
        "kills": kills.main,
        "chaos": chaos.main,
        "power-loss": power_loss.main,
        "soak": soak.main,
        "load": load.main,
    }
    if len(sys.argv) < 2 or sys.argv[1] not in proofs:
        sys.exit(f"usage: python -m tests.proof {'|'.join(proofs)} ...")
    sys.exit(proofs[sys.argv.pop(1)]())
