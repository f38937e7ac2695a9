import FoundationEssentials
import KubeCore
import Logging

/// The admission of one write: calls the webhooks that the objects in the store ask for.
///
/// `matchConditions` (CEL) are not evaluated: such a webhook is called whenever its rules and selectors match. With
/// `matchPolicy: Equivalent` a webhook that names another version of the resource is called with the version that the
/// client used.
final class Admission {
    enum Operation: String, Sendable {
        case create = "CREATE"
        case update = "UPDATE"
        case delete = "DELETE"

        /// A patch counts as the update, or the creation, that it comes to.
        var optionsKind: String {
            switch self {
            case .create: "CreateOptions"
            case .update: "UpdateOptions"
            case .delete: "DeleteOptions"
            }
        }
    }

    struct Attributes: Sendable {
        var operation: Operation
        var key: ObjectKey
        var subresource: String?
        /// The object before; nil for a creation.
        var old: JSONValue?
    }

    private let server: APIServer
    private let type: ResourceType
    private let caller: Caller
    private let options: WriteOptions
    /// What the webhooks want the client to be told.
    private(set) var warnings: [String] = []

    init(server: APIServer, type: ResourceType, caller: Caller, options: WriteOptions) {
        self.server = server
        self.type = type
        self.caller = caller
        self.options = options
    }

    /// Runs the mutating webhooks in order of their configurations' names; one with `reinvocationPolicy: IfNeeded` runs
    /// once more when a later one changed the object.
    /// - Parameter complete: fills in defaults after a change.
    func mutate(_ object: JSONValue, _ attributes: Attributes, complete: (inout JSONValue) -> Void)
        async throws(APIError)
        -> JSONValue
    {
        var object = object
        var called: [AdmissionWebhook] = []
        var lastChange = -1
        let hooks = self.hooks(.mutatingWebhookConfigurations)
        for hook in hooks where matches(hook, object, attributes) {
            let before = object
            object = try await call(hook, object, attributes)
            called.append(hook)
            guard object != before else { continue }
            complete(&object)
            lastChange = called.count - 1
        }
        for (index, hook) in called.enumerated() where hook.isReinvoked && index < lastChange {
            let before = object
            object = try await call(hook, object, attributes)
            if object != before { complete(&object) }
        }
        return object
    }

    /// Runs the validating webhooks.
    /// - Parameter object: nil for a deletion.
    func validate(_ object: JSONValue?, _ attributes: Attributes) async throws(APIError) {
        for hook in hooks(.validatingWebhookConfigurations) where matches(hook, object, attributes) {
            _ = try await call(hook, object, attributes, mayChange: false)
        }
    }

    private func hooks(_ resource: GroupVersionResource) -> [AdmissionWebhook] {
        // Of a change in the name of a subresource, they were asked before.
        if options.actingSubresource != nil { return [] }
        // Webhooks are never asked about webhooks: a broken one could not be repaired.
        if type.group == "admissionregistration.k8s.io" { return [] }
        return server.store.list(resource.description).items.flatMap { configuration in
            (configuration.json["webhooks"]?.array ?? []).map(AdmissionWebhook.init)
        }
    }

    private func matches(_ hook: AdmissionWebhook, _ object: JSONValue?, _ attributes: Attributes) -> Bool {
        guard
            hook.matches(
                attributes.operation, type, subresource: attributes.subresource,
                isServed: { server.registry.type(group: $0, version: $1, resource: $2) != nil })
        else { return false }
        if let selector = hook.namespaceSelector {
            var labels: [String: String]?
            if type.collection == "namespaces" {
                labels = (object ?? attributes.old)?[path: "metadata", "labels"]?.stringMap ?? [:]
            } else if type.isNamespaced {
                labels =
                    server.store.get("namespaces", ObjectKey(namespace: "", name: attributes.key.namespace))?.labels
                    ?? [:]
            }
            if let labels, !selector.matches(labels) { return false }
        }
        if let selector = hook.objectSelector {
            let candidates = [object, attributes.old].compactMap { $0 }.map {
                $0[path: "metadata", "labels"]?.stringMap ?? [:]
            }
            if !candidates.contains(where: selector.matches) { return false }
        }
        return true
    }

    private func call(_ hook: AdmissionWebhook, _ object: JSONValue?, _ attributes: Attributes, mayChange: Bool = true)
        async throws(APIError) -> JSONValue
    {
        let uid = APIServer.newUID()
        let response: JSONValue
        do {
            let review = try await WebhookClient(server: server).post(request(uid, object, attributes), to: hook)
            guard let body = review["response"], body["uid"]?.string == uid else {
                throw WebhookFailure(message: "expected response.uid=\(uid)")
            }
            response = body
        } catch {
            if hook.ignoresFailure {
                server.logger.warning(
                    "webhook failed, ignored", metadata: ["webhook": "\(hook.name)", "error": "\(error)"])
                return object ?? [:]
            }
            throw .internalError("failed calling webhook \"\(hook.name)\": failed to call webhook: \(error)")
        }
        warnings += response["warnings"]?.array?.compactMap(\.string) ?? []
        guard response["allowed"] == true else {
            let status = response["status"] ?? [:]
            let why = status["message"]?.string ?? status["reason"]?.string
            throw APIError(
                code: status["code"]?.int ?? 403, reason: status["reason"]?.string ?? "Forbidden",
                message: "admission webhook \"\(hook.name)\" denied the request"
                    + (why.map { ": \($0)" } ?? " without explanation"))
        }
        guard mayChange, let object, let text = response["patch"]?.string else { return object ?? [:] }
        do {
            guard let bytes = Base64.decode(text) else { throw WebhookFailure(message: "its patch is not base64") }
            return try JSONPatch.apply(JSONValue.parse(bytes), to: object)
        } catch {
            throw .internalError("webhook \"\(hook.name)\": its patch cannot be applied: \(error)")
        }
    }

    private func request(_ uid: String, _ object: JSONValue?, _ attributes: Attributes) -> JSONValue {
        let kind: JSONValue =
            attributes.subresource == "scale"
            ? ["group": "autoscaling", "version": "v1", "kind": "Scale"]
            : ["group": .string(type.group), "version": .string(type.version), "kind": .string(type.kind)]
        let resource: JSONValue = [
            "group": .string(type.group), "version": .string(type.version), "resource": .string(type.resource),
        ]
        var request: JSONValue = [
            "uid": .string(uid), "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
            "name": .string(attributes.key.name), "operation": .string(attributes.operation.rawValue),
            "userInfo": caller.userInfo, "object": object ?? .null, "oldObject": attributes.old ?? .null,
            "dryRun": .bool(options.isDryRun),
            "options": [
                "apiVersion": "meta.k8s.io/v1", "kind": .string(attributes.operation.optionsKind),
                "fieldManager": .string(options.fieldManager),
            ],
        ]
        if type.isNamespaced { request["namespace"] = .string(attributes.key.namespace) }
        if let subresource = attributes.subresource {
            request["subResource"] = .string(subresource)
            request["requestSubResource"] = .string(subresource)
        }
        return ["apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request]
    }
}

/// Why a webhook gave no usable answer.
struct WebhookFailure: Error, CustomStringConvertible {
    var message: String
    var description: String { message }
}
