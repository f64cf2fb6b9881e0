"""docker-py's client without the user's own configuration, and its errors as ours."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import docker
import docker.auth
import docker.credentials.errors
import docker.errors
import requests
import urllib3
from docker.utils import parse_repository_tag

from runner.errors import EngineError, ImageError

API_TIMEOUT_SECONDS = 120
NO_ANSWER_HINT = "does `docker ps` answer? If not, restart the engine"
QUICK_TIMEOUT_SECONDS = 30  # for a call that takes the engine milliseconds


@contextlib.contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn every exception of docker-py and of its transport into an `EngineError`.

    Args:
        doing: what is being done, as the beginning of the message.
    """
    try:
        yield
    except docker.errors.ImageNotFound as error:
        raise ImageError(
            f"{doing}: the image does not exist: {error.explanation or error}",
            hint="build it with `make images`",
        ) from error
    except docker.errors.APIError as error:
        raise EngineError(f"{doing}: the engine refused: {error.explanation or error}") from error
    except (
        docker.errors.DockerException,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as error:
        raise EngineError(
            f"{doing}: the engine did not answer: {error}", hint=NO_ANSWER_HINT
        ) from error


class IsolatedApi(docker.APIClient):
    """docker-py's low-level client without the user's own configuration.

    The attack that this stops: docker-py puts the proxies of `~/.docker/config.json`, passwords
    included, into every container's environment, where a contestant could read them. It also sends
    the file's headers with every request and the logins of all registries with every build, and it
    takes proxies, `.netrc` and certificates for the engine from the environment.
    """

    # This must not be empty: docker-py would read the file again.
    _general_configs = property(lambda _: {"proxies": {}}, lambda *_: None)
    trust_env = property(lambda _: False, lambda *_: None)

    def _set_auth_headers(self, headers: dict[str, str]) -> None:
        """Send no login with a build: the image that it is built on has been pulled before."""


class IsolatedClient(docker.DockerClient):
    """docker-py's client, isolated from the user's Docker configuration and environment."""

    def __init__(self, **options: Any) -> None:
        self.api = IsolatedApi(**options)


def registry_login(reference: str) -> tuple[dict[str, Any], str]:
    """The user's login at the registry of an image.

    Returns:
        The login, empty if there is none; and a hint that is not empty when the configuration
        could not be read.
    """
    try:
        registry, _ = docker.auth.resolve_repository_name(parse_repository_tag(reference)[0])
        with warnings.catch_warnings():  # docker-py warns of a helper that is not there, and raises
            warnings.simplefilter("ignore")
            found = docker.auth.load_config().resolve_authconfig(registry)
    except (
        docker.errors.DockerException,
        docker.credentials.errors.StoreError,
        AttributeError,
        LookupError,
        OSError,
        TypeError,
        ValueError,
    ) as error:
        return {}, f"no login was sent: the Docker configuration could not be read: {error}"
    return found or {}, ""
