import Foundation
import KubeCore
import Testing

@testable import HeddleAPI

let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

@Suite struct DefinitionTests {
    /// Where each set of definitions is committed.
    static let places: [(directory: String, definitions: [CustomResourceDefinition])] = [
        ("manifests/crds", CustomResourceDefinition.heddle),
        ("charts/heddle/crds", CustomResourceDefinition.heddle),
        ("manifests/istio-crds", CustomResourceDefinition.istio),
        ("charts/heddle/files/istio-crds", CustomResourceDefinition.istio),
    ]

    /// `HEDDLE_REGENERATE=1` (scripts/generate-crds) writes the files in place of comparing them.
    @Test func `committed definitions are what the Swift types generate`() throws {
        let regenerates = ProcessInfo.processInfo.environment["HEDDLE_REGENERATE"] == "1"
        for (directory, definitions) in Self.places {
            let folder = repository.appendingPathComponent(directory, isDirectory: true)
            if regenerates {
                try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
                for definition in definitions {
                    try Data(definition.yaml.utf8).write(to: folder.appendingPathComponent(definition.fileName))
                }
            }
            for definition in definitions {
                let file = folder.appendingPathComponent(definition.fileName)
                let committed = try? String(contentsOf: file, encoding: .utf8)
                #expect(
                    committed == definition.yaml,
                    "\(directory)/\(definition.fileName) is out of date: run scripts/generate-crds")
            }
            let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            let expected = Set(definitions.map(\.fileName))
            #expect(files.allSatisfy { expected.contains($0) || $0 == "kustomization.yaml" }, "\(directory): \(files)")
        }
    }

    @Test func `definitions obey the structural rules of the API server`() {
        for definition in CustomResourceDefinition.heddle + CustomResourceDefinition.istio {
            let versions = definition.json[path: "spec", "versions"]?.array ?? []
            #expect(versions.filter { $0["storage"] == true }.count == 1)
            for version in versions {
                let root = version[path: "schema", "openAPIV3Schema"] ?? [:]
                #expect(structuralFaults(root, at: definition.resource.kind).isEmpty)
            }
        }
    }

    private func structuralFaults(_ schema: JSONValue, at path: String) -> [String] {
        var faults: [String] = []
        if schema["type"]?.string == nil { faults.append("\(path) has no type") }
        let properties = schema["properties"]?.object ?? [:]
        if schema["properties"] != nil, schema["additionalProperties"] != nil {
            faults.append("\(path) has properties and additionalProperties")
        }
        for name in schema["required"]?.array?.compactMap(\.string) ?? [] where properties[name] == nil {
            faults.append("\(path) requires \(name), which it does not have")
        }
        for name in schema["x-kubernetes-list-map-keys"]?.array?.compactMap(\.string) ?? [] {
            let required = schema[path: "items", "required"]?.array ?? []
            if !required.contains(.string(name)) { faults.append("\(path): list key \(name) is not required") }
        }
        for (name, child) in properties { faults += structuralFaults(child, at: "\(path).\(name)") }
        if let items = schema["items"] { faults += structuralFaults(items, at: "\(path)[]") }
        if let values = schema["additionalProperties"] { faults += structuralFaults(values, at: "\(path)[*]") }
        return faults
    }

    @Test func `published defaults pass their own schema`() {
        for definition in CustomResourceDefinition.heddle {
            for bad in badDefaults(definition.spec, at: "spec") { Issue.record("\(definition.resource.kind) \(bad)") }
            #expect(!definition.status.openAPI.serialized().contains(#""default""#), "status must not be defaulted")
        }
    }

    private func badDefaults(_ schema: Schema, at path: String) -> [String] {
        var found: [String] = []
        if let value = schema.defaultValue {
            found += schema.validate(schema.applyingDefaults(to: value), at: path).map(\.description)
        }
        switch schema.shape {
        case .object(let properties):
            for property in properties { found += badDefaults(property.schema, at: "\(path).\(property.name)") }
        case .map(let inner), .array(let inner, _): found += badDefaults(inner, at: "\(path)[]")
        default: break
        }
        return found
    }

    @Test func `YAML text quotes what could be read as something else`() {
        let value: JSONValue = [
            "plain": "a sentence, plain", "number": "1", "bool": "yes", "colon": "a: b", "empty": "", "hash": "a #b",
            "list": [["a": 1, "b": [1, 2]], "x", []], "map": [:], "null": .null, "1": true, "quote": "say \"hi\"",
        ]
        #expect(
            YAMLText.document(value) == """
                "1": true
                bool: "yes"
                colon: "a: b"
                empty: ""
                hash: "a #b"
                list:
                - a: 1
                  b:
                  - 1
                  - 2
                - x
                - []
                map: {}
                "null": null
                number: "1"
                plain: a sentence, plain
                quote: "say \\"hi\\""

                """)
    }
}
