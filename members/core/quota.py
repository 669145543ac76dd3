"""When a member has no room for one more session. Knows no hub: usage is an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from members.core.imagename import without_tag
from members.core.policy import matches


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits on running and starting sessions; None is no limit, 0 lets nobody in (maintenance).

    `per_repository_higher` replaces `per_repository` for the specs that a provider's configuration favours.
    """

    total: int | None = None
    per_repository: int | None = None
    per_repository_higher: int | None = None

    @property
    def unlimited(self) -> bool:
        return self.total is None and self.per_repository is None


def for_spec(
    quota: Quota, spec: str, high_quota_specs: Sequence[str], spec_quotas: Sequence[tuple[str, int | None]]
) -> Quota:
    """The limits for one spec: the usual or the higher one, then each of `spec_quotas` whose pattern matches.

    `spec_quotas` are pairs of pattern and limit; the last match decides (BinderHub's `spec_config`).
    """
    limit = quota.per_repository_higher if matches(spec, high_quota_specs) else quota.per_repository
    for pattern, own in spec_quotas:
        if matches(spec, (pattern,)):
            limit = own
    return replace(quota, per_repository=limit)


class QuotaExceeded(Exception):
    """There is no room; the message is for the visitor, `status` the label of the launch counter."""

    def __init__(self, message: str, status: Literal["pod_quota", "repo_quota"]) -> None:
        super().__init__(message)
        self.status = status


def check(quota: Quota, sessions: Mapping[str, int], image: str, repo_url: str) -> None:
    """Raises QuotaExceeded when one more session of `image` would exceed a limit.

    `sessions` counts running and starting sessions by image. Versions of one repository count together.
    """
    if quota.total is not None and sum(sessions.values()) >= quota.total:
        raise QuotaExceeded("Too many users on this BinderHub! Try again soon.", "pod_quota")
    if quota.per_repository is not None:
        name = without_tag(image)
        same = sum(count for other, count in sessions.items() if without_tag(other) == name)
        if same >= quota.per_repository:
            raise QuotaExceeded(f"Too many users running {repo_url}! Try again soon.", "repo_quota")
