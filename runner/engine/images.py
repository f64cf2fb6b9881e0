"""The images of an engine: what there is, and how one is built, pulled, imported and removed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

import docker.errors
import requests

from runner.engine.api import registry_login, translated
from runner.errors import EngineError, ImageError

BUILD_TIMEOUT_SECONDS = 3600  # between two lines of a build's log


class ImageStore:
    """The part of `Engine` that deals with images.

    Args:
        api: docker-py's connection to the engine.
    """

    def __init__(self, api: Any) -> None:
        self._api = api

    def image_labels(self, tag: str) -> dict[str, str] | None:
        """The image's labels, or None when there is no such image."""
        body = self._image(tag)
        return None if body is None else dict(body["Config"].get("Labels") or {})

    def image_digest(self, tag: str) -> str:
        """The image's content id (sha256:…), or "" when there is no such image."""
        body = self._image(tag)
        return "" if body is None else str(body["Id"])

    def image_origin(self, tag: str) -> str:
        """The registry's digest of an image, by which it can be pulled again, or its content id."""
        body = self._image(tag)
        return "" if body is None else str(next(iter(body.get("RepoDigests") or ()), body["Id"]))

    def _image(self, tag: str) -> Any:
        with translated(f"inspecting image {tag}"):
            try:
                return self._api.inspect_image(tag)
            except docker.errors.ImageNotFound:
                return None

    def build_image(
        self,
        context: IO[bytes],
        *,
        dockerfile: str,
        tag: str,
        buildargs: Mapping[str, str],
        labels: Mapping[str, str],
    ) -> Iterator[str]:
        """Build an image from a tar archive of its context, and yield the lines of the log.

        Raises:
            ImageError: a step failed; the message is the engine's.
            EngineError: the engine does not answer.
        """
        with translated(f"building {tag}"):
            stream = self._api.build(
                fileobj=context,
                custom_context=True,
                dockerfile=dockerfile,
                tag=tag,
                buildargs=dict(buildargs),
                labels=dict(labels),
                rm=True,
                forcerm=True,
                decode=True,
                timeout=BUILD_TIMEOUT_SECONDS,
            )
            failure = ""
            for step in stream:  # to its end, or its connection stays open
                failure = failure or str(step.get("error", "")).strip()
                yield from str(step.get("stream", "")).splitlines()
            if failure:
                raise ImageError(f"building {tag}: {failure}")

    def pull(self, reference: str) -> None:
        """Pull an image from its registry.

        Raises:
            EngineError: no registry can be reached, or none has such an image.
        """
        login, problem = registry_login(reference)
        try:
            with translated(f"pulling {reference}"):
                self._api.pull(reference, auth_config=login)
                if self._image(reference) is None:
                    raise EngineError(f"pulling {reference}: no registry has it")
        except EngineError as error:
            error.hint = error.hint or problem
            raise

    def remove_image(self, reference: str) -> None:
        """Remove an image unless a container or another image is built on it."""
        with translated(f"removing image {reference[:19]}"):
            try:
                self._api.remove_image(reference)
            except docker.errors.APIError as error:
                if error.status_code not in (requests.codes.not_found, requests.codes.conflict):
                    raise

    def prune_images(self, label: str) -> None:
        """Remove the untagged images with this label: intermediate stages of finished builds."""
        with translated("removing build stages"):
            self._api.prune_images(filters={"dangling": True, "label": label})

    def import_image(self, archive: IO[bytes] | Iterable[bytes], tag: str, label: str) -> None:
        """Make an image of one layer, with a label, from a tar archive of a root file system.

        Raises:
            ImageError: the engine could not import it.
        """
        repository, _, version = tag.partition(":")
        with translated(f"importing {tag}"):
            answer = self._api.import_image_from_stream(
                archive, repository=repository, tag=version, changes=[f"LABEL {label}"]
            )
        for line in str(answer).splitlines():
            step = json.loads(line)
            if "error" in step:
                raise ImageError(f"importing {tag}: {step['error']}")
