"""atlas.assess_posture"""

from workflows.core.graph import Retry
from workflows.errors import PermanentStepError
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
        raise PermanentStepError("the asset register is empty; enter assets in the admin", code="no_assets")
    return assess(assets, store.controls(), data)
