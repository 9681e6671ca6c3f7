"""What notify.send takes and gives."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from workflows.library.vocabulary import StepInput, StepOutput


class NotifyInput(StepInput):
    """A message. Without recipients of its own it goes to the notification targets that an admin entered."""

    # An invalid address is one outcome among others; the other recipients are still reached.
    email: list[Annotated[str, Field(max_length=1000)]] = Field(default=[], max_length=50)
    webhook: list[Annotated[str, Field(max_length=2000)]] = Field(default=[], max_length=10)
    subject: str = Field(
        default="", max_length=2000, description="cut at 200; default: the workflow and its business key"
    )
    message: str = Field(default="", max_length=20_000)
    event: str = Field(default="erip.notification", max_length=100, description="the webhook's `type`")
    data: dict[str, Any] = Field(default={}, description="the webhook's `data`; listed below an e-mail's message")


class DeliveryResult(BaseModel):
    target: str
    kind: str
    detail: str
    status: Literal["delivered", "refused"] = Field(
        default="delivered", description="refused: it cannot be delivered there, now or later"
    )
    already_sent: bool = Field(default=False, description="an earlier attempt of this step had delivered it")


class NotifyOutput(StepOutput):
    delivered: int = 0
    refused: int = 0
    deliveries: list[DeliveryResult] = []
    note: str = ""
