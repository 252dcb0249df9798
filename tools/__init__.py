"""What builds, deploys and shows Mooring: in no wheel and no package of Lambda's."""
