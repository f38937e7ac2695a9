# The two commands: `make demo` runs the main job, `make test` proves it. Both do their own set-up.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export SWIFT_DETERMINISTIC_HASHING := 1
# Where Debian's and a user's Swift usually are, when it is not on PATH.
export PATH := $(PATH):/opt/swift/usr/bin:/usr/sbin:/sbin

.PHONY: help setup build demo test conformance test-install lint format generate images clean

help: ## Lists the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## Installs what is needed by package name; does nothing where it is there.
	@scripts/get-tools

build: setup ## Builds everything (the first time takes some ten minutes for the dependencies).
	@scripts/build

demo: build ## Takes the shop through the four phases and ships two releases. KEEP=1 leaves it running.
	@.build/debug/heddle demo $(if $(KEEP),--keep)

test: build ## Runs every test.
	@scripts/test

conformance: build ## Runs the conformance tests on a real API server: KUBEBUILDER_ASSETS=folder, or KUBECONFIG=file.
	@scripts/conformance

test-install: build ## Installs into throwaway API servers and removes it again: KUBEBUILDER_ASSETS=folder.
	@scripts/test-install

lint: ## Checks the format of all sources.
	@swift format lint --strict --recursive --parallel Package.swift $$(scripts/sources)

format: ## Formats all sources.
	@swift format --in-place --recursive --parallel Package.swift $$(scripts/sources)

generate: ## Regenerates the protobuf code, the CRDs and the manifests.
	@scripts/generate-protos
	@scripts/generate-crds
	@scripts/generate-manifests

images: ## Builds the container images with buildah, podman or docker. PREBUILT=1 compiles here, not in an image.
	@scripts/images $(if $(PREBUILT),--prebuilt)

clean: ## Removes what was built here; what is cached under ~/.cache/heddle stays.
	@rm -rf .build .build-release
