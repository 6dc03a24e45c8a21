# Each target sets up what it needs by itself: Debian packages (as root) and the virtual environment .venv.

.PHONY: help demo serve test docs bench clean

help:
	@echo "make demo    boot a real machine in QEMU from a picture, and watch it (root);"
	@echo "             FIRMWARE=ipxe, bios, uefi, uefi-http or proxy says what machine, and where"
	@echo "make serve   run the services on loopback, without root"
	@echo "make test    all checks: lint, types, layers, manual, tests, a real boot (root)"
	@echo "make docs    the manual as HTML, in build/html"
	@echo "make bench   measure against other servers (root)"
	@echo "make clean   remove all that the others made here"

demo:
	@tools/setup demo
	@.venv/bin/python -m lab.demo $(FIRMWARE)

serve:
	@tools/setup serve
	@.venv/bin/python -m lab.serve

test:
	@tools/setup test
	@tools/check lint types layers docs trial unit installed boot

docs:
	@tools/setup test
	@tools/check docs

bench:
	@tools/setup bench
	@PATH="$(CURDIR)/.cache/nginx/usr/sbin:$$PATH" .venv/bin/python -m benchmarks

clean:
	rm -rf .venv .tox .cache .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* \
	    _trial_temp* build dist *.egg-info twisted/plugins/dropin.cache
	find pixelboot lab benchmarks tests docs twisted -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
