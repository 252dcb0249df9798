"""Every deviation of moto from AWS that this project meets, gathered so that one `with` mends them all."""

import functools

from moto import backends, settings
from moto.core import responses

from . import (  # noqa: F401 - each import adds its patches to `truth`
    formation,
    truth_addresses,
    truth_associations,
    truth_commands,
    truth_documents,
    truth_groups,
    truth_hooks,
    truth_instances,
    truth_interfaces,
    truth_launches,
    truth_nodes,
    truth_paging,
    truth_parameters,
    truth_queues,
    truth_routes,
    truth_rules,
    truth_statuses,
    truth_tables,
)
from .patches import truth

__all__ = ["truth"]

_list_modules = backends.list_of_moto_modules

# Any ami-… id may be launched: reading moto's list of images costs 200 ms after each reset.
truth.attribute(settings, "ec2_load_default_amis", lambda: False)

# Half of moto's time goes into listing its own directory and its own methods anew for each request.
truth.attribute(backends, "list_of_moto_modules", functools.cache(lambda: tuple(_list_modules())))
truth.attribute(responses, "method_names_from_class", functools.cache(responses.method_names_from_class))
