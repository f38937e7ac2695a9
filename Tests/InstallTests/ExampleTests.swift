import HeddleAPI
import KubeCore
import Testing

/// The examples, held against Heddle's own checks; `DefinitionServerTests` holds them against a real API server.
@Suite struct ExampleTests {
    @Test func `every kind has valid and invalid examples`() {
        for definition in CustomResourceDefinition.heddle {
            let ofKind = Example.all.filter { $0.object.kind == definition.resource.kind }
            #expect(ofKind.count(where: \.isValid) >= 2, "\(definition.resource.kind)")
            #expect(ofKind.count { !$0.isValid } >= 4, "\(definition.resource.kind)")
        }
        #expect(Example.all.allSatisfy { $0.resource != nil })
    }

    @Test(arguments: Example.all.filter(\.isValid))
    func `a valid example has no problem`(_ example: Example) {
        #expect(example.problems.isEmpty, "\(example.problems)")
        #expect(example.serverRefusal.isEmpty && example.ownRefusal.isEmpty, "a valid example names no refusal")
    }

    @Test(arguments: Example.all.filter { !$0.isValid })
    func `Heddle refuses an invalid example in the words that it names`(_ example: Example) {
        #expect(!example.ownRefusal.isEmpty, "the example names no refusal by Heddle")
        let problems = example.problems.map(\.description)
        for refusal in example.ownRefusal {
            #expect(problems.contains { $0.contains(refusal) }, "expected '\(refusal)', got \(problems)")
        }
    }

    /// A rule that no example breaks could be wrong unseen.
    @Test func `every rule of every kind is broken by an example`() {
        let refusals = Example.all.flatMap(\.serverRefusal)
        for definition in CustomResourceDefinition.heddle {
            for rule in rules(of: definition.spec) {
                let words = [rule.message] + (rule.messageExpression.map(literals) ?? [])
                let isShown = refusals.contains { refusal in
                    let text = refusal.split(separator: ": ", maxSplits: 1).last.map(String.init) ?? refusal
                    let bare = text.hasPrefix("Invalid value: ") ? String(text.dropFirst(15)) : text
                    return words.contains { refusal.contains($0) || $0.contains(bare) }
                }
                #expect(isShown, "\(definition.resource.kind): no example is refused by '\(rule.message)'")
            }
        }
    }

    private func rules(of schema: Schema) -> [Schema.Rule] {
        let inner: [Schema.Rule] =
            switch schema.shape {
            case .object(let properties): properties.flatMap { rules(of: $0.schema) }
            case .array(let items, _), .map(let items): rules(of: items)
            default: []
            }
        return schema.rules + inner
    }

    /// The texts in an expression such as `'a' + self.b + 'c'`, without the short ones.
    private func literals(_ expression: String) -> [String] {
        expression.split(separator: "'").map(String.init).filter { $0.count > 12 && !$0.contains("self.") }
    }
}
