"""docs/kubernetes.md is what happens, as far as it goes without a cluster."""

from __future__ import annotations

import pytest

from tests.docs.shop import shop
from tests.docs.terminal import Terminal
from tests.docs.walking import Walk

NO_CLUSTER = "there is no cluster here"
CREATE = (
    "kubectl create configmap shop-code --from-file=app.py --from-file=midair.toml --dry-run=client -o yaml"
    " | kubectl apply -f -"
)
RELOAD = (
    "for pod in $(kubectl get pods -l app.kubernetes.io/name=shop -o name); do kubectl exec $pod -- midair reload; done"
)
WALK = Walk(
    "docs/kubernetes.md",
    not_typed=dict.fromkeys(
        (
            "kubectl apply -f k8s.yaml",
            "kubectl port-forward deploy/shop 9465",
            CREATE,
            RELOAD,
            "kubectl exec deploy/shop -- midair doctor",
        ),
        NO_CLUSTER,
    ),
)


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal("/srv/shop") as terminal:
        terminal.write("app.py", shop())
        terminal.write("midair.toml", 'app = "app:app"\n')
        WALK.whole(terminal)
