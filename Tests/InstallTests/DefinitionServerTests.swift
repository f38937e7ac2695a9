import HeddleAPI
import KubeCore
import KubeTesting
import NIOHTTP1
import Testing

extension OnRealServer {
    /// Our definitions and examples on a real API server (1.29 or newer, for CEL).
    @Suite(
        .enabled(
            if: APIServer.definitions != nil,
            "make test-install runs it on a throwaway API server (HEDDLE_CRD_KUBECONFIG)"))
    struct DefinitionServerTests {
        private let server: APIServer

        init() throws { server = try APIServer(kubeconfig: APIServer.definitions ?? "") }

        private func install() async throws {
            try await server.use { send in
                for definition in CustomResourceDefinition.heddle {
                    let path = GroupVersionResource.customResourceDefinitions.path(
                        name: definition.resource.description)
                    let answer = try await send(
                        .PATCH, path + "?fieldManager=heddle-test&force=true", "application/apply-patch+yaml",
                        definition.json)
                    try #require(answer.isSuccess, "\(definition.resource.kind): \(answer.message)")
                    let isServed = try await eventually {
                        let conditions =
                            try await send(.GET, path, nil, nil).body[path: "status", "conditions"]?.array ?? []
                        let isTrue = { (type: String) in
                            conditions.contains { $0["type"]?.string == type && $0["status"] == "True" }
                        }
                        return isTrue("Established") && isTrue("NamesAccepted")
                            && !conditions.contains { $0["type"] == "NonStructuralSchema" && $0["status"] == "True" }
                    }
                    #expect(isServed, "\(definition.resource.kind) is not established")
                    let isListed = try await eventually {
                        try await send(.GET, definition.resource.path(), nil, nil).isSuccess
                    }
                    #expect(isListed)
                }
            }
        }

        @Test func `the API server takes the definitions, and refuses each invalid example in the words that it names`()
            async throws
        {
            try await install()
            try await server.use { send in
                for example in Example.all {
                    guard let resource = example.resource else { continue }
                    // A dry run goes through defaulting and validation and leaves nothing behind.
                    var object = example.object
                    if resource.isNamespaced { object.json[path: "metadata", "namespace"] = "default" }
                    let namespace = resource.isNamespaced ? "default" : nil
                    let answer = try await send(
                        .POST, resource.path(namespace: namespace) + "?dryRun=All&fieldValidation=Strict", nil,
                        object.json)
                    if example.isValid {
                        #expect(answer.status == 201, "\(example): \(answer.message)")
                    } else {
                        #expect(answer.status == 422, "\(example): \(answer.status) \(answer.message)")
                        for refusal in example.serverRefusal { expect(answer, says: refusal, of: example) }
                        #expect(!example.serverRefusal.isEmpty, "\(example) names no refusal by the API server")
                    }
                }
            }
        }

        /// The words in the server's text as they stand, or as `field: message` of one cause: there the server puts
        /// `Invalid value: <the value>: ` before a rule's message.
        private func expect(_ answer: APIServer.Answer, says refusal: String, of example: Example) {
            let parts = refusal.replacing("Invalid value: ", with: "").split(separator: ": ", maxSplits: 1).map(
                String.init)
            let isCause = (answer.body[path: "details", "causes"]?.array ?? []).contains { cause in
                cause["field"]?.string == parts[0] && cause["message"]?.string?.contains(parts[parts.count - 1]) == true
            }
            #expect(
                isCause || answer.message.contains(refusal), "\(example): expected '\(refusal)', got \(answer.message)")
        }

        @Test func `the API server fills in the defaults that Heddle assumes`() async throws {
            try await install()
            try await server.use { send in
                for example in Example.all where example.isValid {
                    guard let resource = example.resource,
                        let definition = CustomResourceDefinition.heddle.first(where: { $0.resource == resource })
                    else { continue }
                    var object = example.object
                    if resource.isNamespaced { object.json[path: "metadata", "namespace"] = "default" }
                    let answer = try await send(
                        .POST, resource.path(namespace: resource.isNamespaced ? "default" : nil) + "?dryRun=All", nil,
                        object.json)
                    #expect(answer.body["spec"] == definition.spec.applyingDefaults(to: object.spec), "\(example)")
                }
            }
        }

        @Test func `columns, short names and categories are served as declared`() async throws {
            try await install()
            try await server.use { send in
                for definition in CustomResourceDefinition.heddle {
                    let path = GroupVersionResource.customResourceDefinitions.path(
                        name: definition.resource.description)
                    let stored = try await send(.GET, path, nil, nil).body
                    let names = stored[path: "status", "acceptedNames"]
                    #expect(names?["shortNames"] == JSONValue(definition.shortNames))
                    #expect(names?["categories"] == ["heddle"])
                    let columns = stored[path: "spec", "versions"]?[0]?["additionalPrinterColumns"]?.array ?? []
                    #expect(columns.compactMap { $0["name"]?.string } == definition.columns.map(\.name))
                    // Nothing of the schema is lost on the way: an unknown or misplaced keyword would be pruned.
                    #expect(
                        stored[path: "spec", "versions"]?[0]?["schema"]
                            == definition.json[path: "spec", "versions"]?[0]?["schema"])
                }
            }
        }
    }
}
