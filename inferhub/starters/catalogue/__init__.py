"""The starters, by name, in the order in which they are shown."""

from collections.abc import Mapping

from inferhub.starters.catalogue import (
    demand,
    login_threat,
    order_fraud,
    patient_risk,
    recommendations,
    returns,
    spam,
)
from inferhub.starters.starter import Starter

STARTERS: Mapping[str, Starter] = {
    starter.name: starter
    for starter in (
        recommendations.STARTER,
        spam.STARTER,
        demand.STARTER,
        order_fraud.STARTER,
        returns.STARTER,
        login_threat.STARTER,
        patient_risk.STARTER,
    )
}
