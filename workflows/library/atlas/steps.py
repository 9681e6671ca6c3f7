"""atlas.assess_posture"""

from workflows.core.graph import Retry
from workflows.library.atlas import data as store
from workflows.library.atlas.contract import PostureInput, PostureOutput
from workflows.library.atlas.posture import assess
from workflows.registry import StepContext, step


@step(
    "atlas.assess_posture",
    timeout=10.0,
    retry=Retry(max_attempts=3),
    summary="Exposure of the assets concerned, and the gaps in the controls that should protect them",
)
def assess_posture(data: PostureInput, ctx: StepContext) -> PostureOutput:
    assets = store.assets()
    if not assets:
        # A critical run then lacks its exposure, but still gets its answer.
        return PostureOutput(
            known=False,
            exposure_score=None,
            exposure_level="unknown",
            protection_score=None,
            unknown_assets=data.assets,
            assumptions=["the asset register is empty: the exposure is not known; enter assets in the admin"],
        )
    return assess(assets, store.controls(), data)
