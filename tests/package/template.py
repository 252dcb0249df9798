"""The packaged template in CloudFormation's words: `python -m tests.package.template` writes it beside SAM's."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any, TypeAlias
from unittest import mock

import yaml
from samtranslator.translator.transform import transform

from tools.package import Package

Template: TypeAlias = "dict[str, Any]"

logging.getLogger("samtranslator").setLevel(logging.ERROR)
"""Its transform warns that it has sent nobody its own metrics."""

CODE = "s3://artifacts/mooring/deployment.zip"


class _NoPolicies:
    """AWS's managed policies by name, none of which SAM is asked for here."""

    def load(self) -> dict[str, str]:
        return {}


def load(package: Package) -> Template:
    """Read the template in SAM's words."""
    template: Template = yaml.safe_load(package.template.read_text())
    return template


def translate(package: Package, code: str = CODE) -> Template:
    """Do what `aws cloudformation package` and then AWS's own transform do."""
    template = load(package)
    for resource in template["Resources"].values():
        if "CodeUri" in resource.get("Properties", {}):
            resource["Properties"]["CodeUri"] = code
    with mock.patch.dict(os.environ, AWS_DEFAULT_REGION="us-east-1"):  # SAM wants one, and writes none down
        translated: Template = transform(template, {}, _NoPolicies())
    return translated


def of_type(template: Template, *kinds: str) -> dict[str, Template]:
    """Return the resources of some types by logical id."""
    return {name: r for name, r in template["Resources"].items() if r["Type"] in kinds}


def main() -> int:
    """Write build/cloudformation.json from build/sam.yaml, for linters."""
    build = Path(sys.argv[1] if len(sys.argv) > 1 else "build")
    template = translate(Package.at(build))
    (api,) = of_type(template, "AWS::ApiGateway::RestApi").values()
    for stage in of_type(template, "AWS::ApiGateway::Stage").values():
        stage["Metadata"] = api[
            "Metadata"
        ]  # SAM makes the stage of the API, and forgets what linters are told there
    (build / "cloudformation.json").write_text(json.dumps(template, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
