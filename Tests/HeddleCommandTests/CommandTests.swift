import ArgumentParser
import Foundation
import HeddleAPI
import KubeCore
import KubeTesting
import MeshPlan
import Testing

@testable import heddle

@Suite struct ParsingTests {
    @Test(arguments: [
        ("canary/x", ResourceReference.Kind.canary, "x"), ("canaries/x", .canary, "x"), ("cn/x", .canary, "x"),
        ("Canary/x-1", .canary, "x-1"), ("canaries.heddle.dev/x", .canary, "x"), ("adoption/shop", .adoption, "shop"),
        ("adoptions.heddle.dev/shop", .adoption, "shop"), ("adopt/shop", .adoption, "shop"),
    ])
    func aReferenceIsAKindAndAName(text: String, kind: ResourceReference.Kind, name: String) {
        let reference = ResourceReference(argument: text)
        #expect(reference?.kind == kind)
        #expect(reference?.name == name)
    }

    @Test(arguments: ["x", "canary/", "/x", "deployment/x", "canary/a/b", "canary.apps/x", ""])
    func whatIsNoReferenceIsRefused(text: String) {
        #expect(ResourceReference(argument: text) == nil)
    }

    @Test func commandsTakeKubectlsOptions() throws {
        let status = try CanaryStatusCommand.parse(
            ["catalog", "-n", "shop", "--context", "dev", "--kubeconfig", "/k", "-w", "--exit-code"])
        #expect(status.name == "catalog")
        #expect(status.cluster.namespace == "shop")
        #expect(status.cluster.context == "dev")
        #expect(status.cluster.kubeconfig == "/k")
        #expect(status.watch && status.exitCode)
        #expect(throws: (any Error).self) { try CanaryStatusCommand.parse([]) }
        #expect(try ExplainCommand.parse(["canary/x"]).reference.name == "x")
        #expect(throws: (any Error).self) { try ExplainCommand.parse(["pod/x"]) }
        #expect(try CanaryCommand.parseAsRoot(["undo", "x"]) is CanaryUndoCommand)
    }
}

@Suite struct ResourceFinderTests {
    private let cluster = InMemoryCluster()

    private func failure(_ name: String, in namespace: String) async -> String? {
        let finder = ResourceFinder(api: cluster, namespace: namespace)
        do {
            _ = try await finder.find(Canary.self, name)
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test func aMissingObjectNamesThoseThatExist() async {
        #expect(
            await failure("x", in: "shop") == "there is no Canary x in namespace shop, nor is there any in the cluster")
        cluster.seed(.canaries, Fixtures.object(Fixtures.canary()))
        #expect(await failure("catalog", in: "shop") == nil)
        #expect(await failure("x", in: "shop") == "there is no Canary x in namespace shop; there are: catalog")
        #expect(
            await failure("catalog", in: "default")
                == "there is no Canary catalog in namespace default; there is one in shop: add -n shop")
        #expect(
            await failure("x", in: "default")
                == "there is no Canary x in namespace default; in other namespaces there are: shop/catalog")
    }

    @Test func anInvalidObjectNamesTheField() async {
        var object = Fixtures.object(Fixtures.canary())
        object.spec["steps"] = []
        cluster.seed(.canaries, object)
        let text = await failure("catalog", in: "shop") ?? ""
        #expect(text.hasPrefix("Canary shop/catalog is not valid: spec.steps"))
    }

    @Test func aClusterWithoutTheDefinitionsSaysWhatToDo() async {
        cluster.serveOnly([.deployments])
        let text = await failure("catalog", in: "shop") ?? ""
        #expect(text.hasPrefix("the cluster does not know canaries.heddle.dev: install"))
    }

    @Test func theStatusGathersAndTellsWhatItCannotRead() async throws {
        cluster.seed(.meshes, Fixtures.object(Fixtures.mesh()))
        cluster.seed(.canaries, Fixtures.object(Fixtures.canary()))
        cluster.seed(.adoptions, Fixtures.object(Fixtures.adoption()))
        var other = Fixtures.object(Fixtures.canary())
        other.namespace = "blog"
        other.spec["steps"] = []
        cluster.seed(.canaries, other)
        let all = try await StatusCommand.gather(cluster, namespace: nil)
        #expect(all.meshes.map(\.name) == ["default"])
        #expect(all.canaries.map(\.key.description) == ["shop/catalog"])
        #expect(all.unreadable.map(\.key.description) == ["blog/catalog"])
        let one = try await StatusCommand.gather(cluster, namespace: "blog")
        #expect(one.canaries.isEmpty && one.adoptions.isEmpty && one.meshes.count == 1)
    }
}

@Suite struct ReleaseOutcomeTests {
    private func outcome(
        _ phase: CanaryPhase, held: String? = nil, sawRun: Bool = false,
        _ change: (inout CanaryChanges) -> Void = { _ in }
    ) -> ReleaseOutcome {
        var canary = Fixtures.canary()
        canary.status.phase = phase
        change(&canary.status.change)
        var target = KubeObject(.deployments, namespace: "shop", name: "catalog")
        if let held {
            target.spec["paused"] = true
            target.annotations[HeddleAnnotation.heldChange] = held
        }
        return ReleaseOutcome(canary, target: target, sawRun: sawRun)
    }

    @Test(arguments: [CanaryPhase.starting, .progressing, .promoting, .baking, .rollingBack, .waitingForPhase])
    func aRunIsUnderWay(phase: CanaryPhase) { #expect(outcome(phase) == .underWay) }

    @Test func theEndHasItsExitCode() {
        #expect(outcome(.succeeded).exitCode == 0)
        #expect(outcome(.rolledBack, held: "v1:b") { $0.rejected = "v1:b" }.exitCode == 1)
        #expect(outcome(.failed).exitCode == 1)
        #expect(outcome(.idle).exitCode == 0)
        #expect(outcome(.idle, sawRun: true) == .notReleased)
        #expect(outcome(.progressing).exitCode == nil)
    }

    @Test func theLastRunsSuccessIsNotTheNextOnes() {
        #expect(outcome(.succeeded, held: "v1:c") { $0.promoted = "v1:b" } == .underWay)
        #expect(outcome(.rolledBack, held: "v1:c") { $0.rejected = "v1:b" } == .underWay)
        #expect(outcome(.idle, held: "v1:c") { $0.promoted = "v1:b" } == .underWay)
    }

    @Test func aDeploymentThatItsControllerHasNotSeenIsUnderWay() {
        var target = KubeObject(.deployments, namespace: "shop", name: "catalog")
        target.json[path: "metadata", "generation"] = 4
        target.status["observedGeneration"] = 3
        var canary = Fixtures.canary()
        canary.status.phase = .succeeded
        #expect(ReleaseOutcome(canary, target: target, sawRun: false) == .underWay)
        target.status["observedGeneration"] = 4
        #expect(ReleaseOutcome(canary, target: target, sawRun: false) == .promoted)
    }
}

@Suite struct ReleaseRequestTests {
    private let cluster = InMemoryCluster()
    private var requests: ReleaseRequests { ReleaseRequests(ResourceFinder(api: cluster, namespace: "shop")) }

    private func seed(_ change: (inout Canary) -> Void = { _ in }) {
        var canary = Fixtures.canary()
        change(&canary)
        var object = canary.objectWithStatus
        object.spec = canary.spec.json
        cluster.seed(.canaries, object)
    }

    private var annotations: [String: String] {
        cluster.object(.canaries, namespace: "shop", name: "catalog")?.annotations ?? [:]
    }

    @Test func approvalNamesTheRunAndTheStep() async throws {
        seed { $0.spec.steps[1].pause = true }
        #expect(
            try await requests.approve("catalog", promote: false)
                == "Canary shop/catalog: step 2 of 3 of run 0a1b2c3d is approved.")
        #expect(annotations == [HeddleAnnotation.approve: "0a1b2c3d/1"])
        _ = try await requests.approve("catalog", promote: true)
        #expect(annotations == [HeddleAnnotation.approve: "0a1b2c3d/promote"])
    }

    @Test func aStepThatAsksForNothingIsNotApproved() async {
        seed()
        await #expect(throws: CommandFailure.self) { try await requests.approve("catalog", promote: false) }
        #expect(annotations.isEmpty)
    }

    @Test func abortNamesTheRun() async throws {
        seed()
        _ = try await requests.abort("catalog")
        #expect(annotations == [HeddleAnnotation.abort: "0a1b2c3d"])
    }

    @Test(arguments: [CanaryPhase.idle, .succeeded, .rolledBack])
    func thereIsNothingToAbortAtRest(phase: CanaryPhase) async {
        seed { $0.status.phase = phase }
        await #expect(throws: CommandFailure.self) { try await requests.abort("catalog") }
        await #expect(throws: CommandFailure.self) { try await requests.approve("catalog", promote: true) }
        #expect(annotations.isEmpty)
    }

    private func seedDeployment(image: String, paused: Bool) {
        var deployment = KubeObject(.deployments, namespace: "shop", name: "catalog")
        deployment.spec = [
            "replicas": 3, "paused": .bool(paused),
            "template": [
                "metadata": ["labels": ["app": "catalog"]],
                "spec": ["containers": [["name": "app", "image": .string(image)]]],
            ],
        ]
        let owner = cluster.seed(.deployments, deployment)
        var set = KubeObject(.replicaSets, namespace: "shop", name: "catalog-7d9f")
        set.labels = ["app": "catalog", HeddleLabel.podTemplateHash: "7d9f"]
        set.ownerReferences = [owner.asController]
        set.spec = [
            "template": [
                "metadata": ["labels": ["app": "catalog", HeddleLabel.podTemplateHash: "7d9f"]],
                "spec": ["containers": [["name": "app", "image": "catalog:v1"]]],
            ]
        ]
        cluster.seed(.replicaSets, set)
    }

    @Test func undoPutsTheStableTemplateBackAndResumes() async throws {
        seed { $0.status.phase = .rolledBack }
        seedDeployment(image: "catalog:v2", paused: true)
        let answer = try await requests.undo("catalog")
        #expect(answer == "Deployment shop/catalog has the stable template (7d9f) again and is resumed.")
        let deployment = try #require(cluster.object(.deployments, namespace: "shop", name: "catalog"))
        #expect(deployment.spec["paused"] == false)
        let image = deployment.spec[path: "template", "spec", "containers"]?[0]?["image"]
        #expect(image == "catalog:v1")
        #expect(deployment.spec[path: "template", "metadata", "labels"] == ["app": "catalog"])
    }

    @Test func undoOfNothingWritesNothing() async throws {
        seed { $0.status.phase = .idle }
        seedDeployment(image: "catalog:v1", paused: false)
        let before = cluster.object(.deployments, namespace: "shop", name: "catalog")
        #expect(try await requests.undo("catalog") == "Deployment shop/catalog has the stable template (7d9f) already.")
        #expect(cluster.object(.deployments, namespace: "shop", name: "catalog") == before)
    }

    @Test func undoSaysWhatIsMissing() async throws {
        seed()
        await #expect(throws: CommandFailure("Deployment catalog of Canary shop/catalog does not exist")) {
            try await requests.undo("catalog")
        }
        cluster.seed(.deployments, KubeObject(.deployments, namespace: "shop", name: "catalog"))
        await #expect(throws: CommandFailure.self) { try await requests.undo("catalog") }
    }
}

@Suite struct ObjectFollowerTests {
    private let cluster = InMemoryCluster()
    private let key = ObjectKey(namespace: "shop", name: "catalog")

    private var follower: ObjectFollower {
        ObjectFollower(api: cluster, resource: .canaries, key: key, retryDelay: .milliseconds(1))
    }

    private func set(_ phase: CanaryPhase) {
        var canary = Fixtures.canary()
        canary.status.phase = phase
        cluster.seed(.canaries, canary.objectWithStatus)
    }

    @Test(.timeLimit(.minutes(1))) func everyChangeIsSeenThroughALostWatch() async throws {
        set(.starting)
        var seen: [String] = []
        let next: [String: CanaryPhase] = [
            "Starting": .progressing, "Progressing": .promoting, "Promoting": .succeeded,
        ]
        try await follower.follow { object in
            let phase = object.status["phase"]?.string ?? ""
            seen.append(phase)
            if phase == "Progressing" { cluster.expireWatches() }
            if phase == "Promoting" { cluster.closeWatches() }
            guard let after = next[phase] else { return false }
            set(after)
            return true
        }
        #expect(seen == ["Starting", "Progressing", "Promoting", "Succeeded"])
    }

    @Test(.timeLimit(.minutes(1))) func aDeletedObjectEndsTheWatch() async throws {
        set(.starting)
        await #expect(throws: CommandFailure("Canary shop/catalog was deleted")) {
            try await follower.follow { _ in
                try await cluster.delete(.canaries, namespace: "shop", name: "catalog")
                return true
            }
        }
    }

    @Test(.timeLimit(.minutes(1))) func anApiServerThatIsAwayForAMomentIsAskedAgain() async throws {
        set(.succeeded)
        let failures = FailureCount(2)
        cluster.injectFaults { request, _ in
            request.verb == .list && failures.takeOne()
                ? .refuse(APIError(code: 0, reason: "Unknown", message: "connection refused")) : nil
        }
        var looks = 0
        try await follower.follow { _ in
            looks += 1
            return false
        }
        #expect(looks == 1)
        #expect(failures.left == 0)
    }
}
