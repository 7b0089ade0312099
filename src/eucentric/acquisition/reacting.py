"""`Reactions`: what is done when something goes wrong, as the plan's policies say."""

from collections.abc import Callable
from typing import Any, Literal

from eucentric.design import Policies, Policy
from eucentric.design.acquisition import Action
from eucentric.microscope import MicroscopeError, StoppedError

Scope = Literal["skip", "stop-side", "abort"]
Tell = Callable[..., object]


class GiveUpError(Exception):
    """A policy says that no more is to be tried: for a target at this tilt, for its side, or for the run."""

    def __init__(self, scope: Scope, reason: str) -> None:
        super().__init__(reason)
        self.scope = scope
        self.reason = reason


def trouble_of(error: MicroscopeError) -> str:
    """Return what went wrong, for a policy to decide on.

    Raises
    ------
    GiveUpError
        If the operator stopped the microscope's program: that is no trouble but a wish, and ends the run.
    """
    if isinstance(error, StoppedError):
        raise GiveUpError("abort", error.what) from error
    return error.what


class Reactions:
    """Decides by the policies, and tells what was decided.

    Parameters
    ----------
    policies
        Of the plan.
    tell
        Called with what goes to the journal.
    wait
        Lets the microscope's time pass.
    """

    def __init__(self, policies: Policies, tell: Tell, wait: Callable[[float], None]) -> None:
        self._policies = policies
        self._tell = tell
        self._wait = wait

    def again(self, name: str, reason: str, attempt: int, **where: Any) -> bool:
        """Decide what follows a trouble: True to try again, False to go on as if nothing had happened.

        Parameters
        ----------
        name
            Of the policy.
        reason
            What happened.
        attempt
            How often it has been tried again already.
        where
            Target, tilt and order, for the journal.

        Raises
        ------
        GiveUpError
            If the policy says so.
        """
        policy: Policy = getattr(self._policies, name)
        if policy.action == "wait" or policy.action == "retry":
            if attempt < policy.tries:
                self._tell(policy=name, action=policy.action, reason=reason, attempt=attempt + 1, **where)
                self._wait(policy.wait_s)
                return True
            last: Action = policy.then
        else:
            last = policy.action
        self._tell(policy=name, action=last, reason=reason, attempt=attempt, **where)
        if last == "skip" or last == "stop-side" or last == "abort":
            raise GiveUpError(last, reason)
        return False

    def final(self, name: str, reason: str, *, last: bool = False, **where: Any) -> None:
        """Decide what follows a trouble with an exposure that was made, and cannot be tried again.

        Parameters
        ----------
        name, reason, where
            As for `again`.
        last
            Whether it is to be the policy's last resort.

        Raises
        ------
        GiveUpError
            If the policy says so.
        """
        policy: Policy = getattr(self._policies, name)
        action: Action = policy.then if last else policy.action
        if action == "stop-side" or action == "abort":
            self._tell(policy=name, action=action, reason=reason, attempt=0, **where)
            raise GiveUpError(action, reason)
        # The exposure is there: nothing can be retried, and nothing is to be skipped.
        self._tell(policy=name, action="go-on", reason=reason, attempt=0, **where)
