import Foundation
import KubeClient
import KubeCore
import KubeTesting
import Testing

/// The API server that the suite runs against, with the doors to it.
struct Cluster: Sendable {
    enum Kind: Sendable { case sandbox, real }

    /// Something that not every server has.
    enum Feature: String, Sendable, CaseIterable {
        case cel = "CEL rules"
        case atomicSelectors = "atomic selectors in apply"
        case definedListTypes = "list types of custom resources in apply"
        case builtinSchemas = "schemas of built-in kinds"
        case fieldValidation = "fieldValidation"
        case managedSubresources = "managedFields with subresource"
        case namespaceNameLabel = "the label kubernetes.io/metadata.name"
        case selfSubjectReview = "SelfSubjectReview"
        case policyV1 = "policy/v1"
        case selectableFields = "selectableFields of custom resources"
        case streamingLists = "streaming lists"
        case aggregatedDiscovery = "aggregated discovery"
        case endpointSlicesV1 = "discovery.k8s.io/v1"
        case controllers = "controllers"
        case compaction = "forgetting old versions on request"
        case localWebhooks = "webhooks in this process"
        case heddle = "what Heddle needs"
        case throwaway = "an installation"
    }

    @TaskLocal static var shared: Cluster?

    let kind: Kind
    let client: KubeClient
    let http: RawHTTP
    /// Path of a kubeconfig for kubectl.
    let kubeconfig: String
    /// Minor version, e.g. 32 of 1.32.
    let minor: Int
    /// Kubernetes' own name of the version.
    let gitVersion: String
    let ledger: Ledger
    /// Part of the names of what is not in a namespace, so that two runs do not meet.
    let run: String
    let definitions: Definitions
    /// Whether kube-controller-manager, or what stands for it, runs.
    let hasControllers: Bool
    let past: Past
    /// Makes the server forget all changes up to a version; nil where that cannot be done.
    let forget: (@Sendable (_ upTo: String) async throws -> Void)?

    /// The running test's cluster; also counts the test.
    static var current: Cluster {
        guard let shared else { preconditionFailure("the test is not part of the suite Conformance") }
        shared.ledger.count()
        return shared
    }

    /// Whether the server has something; if not, what the test leaves out is noted.
    /// - Parameter home: the server in question, for custom resources.
    func serves(_ feature: Feature, at home: Definitions.Home = .cluster) -> Bool {
        guard let reason = reasonAgainst(feature, at: home) else { return true }
        ledger.leaveOut(feature.rawValue, because: reason)
        return false
    }

    /// Why a server lacks a feature; nil: it has it.
    private func reasonAgainst(_ feature: Feature, at home: Definitions.Home) -> String? {
        let minor = home == .cluster ? minor : definitions.separateMinor
        func since(_ needed: Int) -> String? { minor >= needed ? nil : "served since 1.\(needed), this is 1.\(minor)" }
        func notInSandbox(_ needed: Int) -> String? { kind == .sandbox ? "the sandbox has none" : since(needed) }
        return switch feature {
        case .cel: notInSandbox(25)
        case .atomicSelectors, .definedListTypes: since(22)
        case .builtinSchemas: notInSandbox(22)
        case .fieldValidation: since(25)
        case .managedSubresources: since(22)
        case .namespaceNameLabel: since(21)
        case .selfSubjectReview: since(28)
        case .policyV1: since(22)
        case .selectableFields: since(31)
        case .streamingLists: since(32)
        case .aggregatedDiscovery: since(30)
        case .endpointSlicesV1: since(21)
        case .controllers: hasControllers ? nil : "no kube-controller-manager runs"
        case .heddle: minor >= 29 ? nil : "Heddle supports Kubernetes 1.29 and newer, this is 1.\(minor)"
        case .throwaway: kind == .sandbox || forget != nil ? nil : "the cluster is somebody's"
        case .compaction: forget == nil ? "this server's store is out of reach" : nil
        case .localWebhooks:
            http.host == "127.0.0.1" || http.host == "localhost" || http.host == "::1"
                ? nil : "the API server is on another machine"
        }
    }

    // MARK: - Namespaces

    /// Runs a test in a namespace of its own, which is deleted afterwards.
    func withNamespace<Value>(
        labels: [String: String] = [:], _ body: (TestNamespace) async throws -> Value
    ) async throws -> Value {
        var object = KubeObject(.namespaces, name: "")
        object.json["metadata"] = ["generateName": "heddle-conformance-"]
        object.labels = labels.merging(["heddle.dev/conformance": run]) { $1 }
        let created = try await client.create(.namespaces, object)
        let namespace = TestNamespace(cluster: self, name: created.name)
        do {
            let value = try await body(namespace)
            try await client.delete(.namespaces, name: namespace.name)
            return value
        } catch {
            try? await client.delete(.namespaces, name: namespace.name)
            throw error
        }
    }
}

/// Versions from before the first test, for what becomes of old ones.
struct Past: Sendable {
    var namespace = ""
    /// Of the second page of a list that began at this time.
    var continueToken = ""
    /// Newer than the list, older than everything that tests do.
    var version = ""
}

/// A namespace that a test has for itself.
struct TestNamespace: Sendable {
    let cluster: Cluster
    let name: String
    /// Another server's client, for its objects in this namespace.
    var override: KubeClient?

    var client: KubeClient { override ?? cluster.client }

    func get(_ resource: GroupVersionResource, _ name: String) async throws(APIError) -> KubeObject {
        try await client.get(resource, namespace: self.name, name: name)
    }

    func find(_ resource: GroupVersionResource, _ name: String) async throws(APIError) -> KubeObject? {
        try await client.find(resource, namespace: self.name, name: name)
    }

    func list(_ resource: GroupVersionResource, _ query: [String: String] = [:]) async throws(APIError) -> JSONValue {
        try await client.perform(APIRequest(.list, resource, namespace: name, query: query))
    }

    func names(_ resource: GroupVersionResource, _ query: [String: String] = [:]) async throws(APIError) -> [String] {
        (try await list(resource, query)["items"]?.array ?? []).compactMap { $0[path: "metadata", "name"]?.string }
    }

    @discardableResult
    func create(_ resource: GroupVersionResource, _ object: KubeObject, _ query: [String: String] = [:])
        async throws(APIError) -> KubeObject
    {
        KubeObject(
            json: try await client.perform(
                APIRequest(.create, resource, namespace: name, query: query, body: full(object, resource))))
    }

    /// The object with the kind of its collection, unless it names one.
    private func full(_ object: KubeObject, _ resource: GroupVersionResource) -> JSONValue {
        var json = object.json
        if json["apiVersion"] == nil { json["apiVersion"] = .string(resource.apiVersion) }
        if json["kind"] == nil { json["kind"] = .string(resource.kind) }
        return json
    }

    @discardableResult
    func update(
        _ resource: GroupVersionResource, _ object: KubeObject, subresource: String? = nil,
        _ query: [String: String] = [:]
    ) async throws(APIError) -> KubeObject {
        KubeObject(
            json: try await client.perform(
                APIRequest(
                    .update, resource, namespace: name, name: object.name, subresource: subresource, query: query,
                    body: object.json)))
    }

    @discardableResult
    func patch(
        _ type: APIRequest.PatchType, _ resource: GroupVersionResource, _ name: String, subresource: String? = nil,
        _ body: JSONValue
    ) async throws(APIError) -> KubeObject {
        try await patch(type, resource, name, subresource: subresource, [:], body)
    }

    @discardableResult
    func patch(
        _ type: APIRequest.PatchType, _ resource: GroupVersionResource, _ name: String, subresource: String? = nil,
        _ query: [String: String], _ body: JSONValue
    ) async throws(APIError) -> KubeObject {
        KubeObject(
            json: try await client.perform(
                APIRequest(
                    .patch(type), resource, namespace: self.name, name: name, subresource: subresource, query: query,
                    body: body)))
    }

    @discardableResult
    func apply(
        _ resource: GroupVersionResource, _ object: KubeObject, as manager: String, force: Bool = false,
        subresource: String? = nil, _ query: [String: String] = [:]
    ) async throws(APIError) -> KubeObject {
        var query = query
        query["fieldManager"] = manager
        if force { query["force"] = "true" }
        return try await patch(.apply, resource, object.name, subresource: subresource, query, full(object, resource))
    }

    @discardableResult
    func delete(_ resource: GroupVersionResource, _ name: String, _ options: JSONValue = [:]) async throws(APIError)
        -> JSONValue
    {
        var body = options
        body["apiVersion"] = "v1"
        body["kind"] = "DeleteOptions"
        return try await client.perform(
            APIRequest(.delete, resource, namespace: self.name, name: name, body: body))
    }

    /// Waits until the object is away.
    func isGone(_ resource: GroupVersionResource, _ name: String, within seconds: Int = 40) async throws -> Bool {
        try await eventually(within: .seconds(seconds)) { try await find(resource, name) == nil }
    }

    @discardableResult
    func configMap(_ name: String, _ data: [String: String] = [:], labels: [String: String] = [:])
        async throws(APIError) -> KubeObject
    {
        try await create(.configMaps, Objects.configMap(name, data, labels: labels))
    }
}

/// Runs a call that must be refused, and returns the refusal.
func refusal(_ body: () async throws(APIError) -> some Any, sourceLocation: SourceLocation = #_sourceLocation) async
    -> APIError
{
    do {
        _ = try await body()
        Issue.record("the call was accepted", sourceLocation: sourceLocation)
        return APIError(code: -1, reason: "", message: "")
    } catch {
        return error
    }
}
