package import KubeCore

/// A structural schema (OpenAPI v3 as CRDs use it), declared in Swift beside the type that it describes.
///
/// One declaration serves four ends: the published CRD, the defaults, the check of an object, and the reference. A test
/// holds each schema to its Swift type.
package struct Schema: Sendable, Hashable {
    package enum Shape: Sendable, Hashable {
        case object([Property])
        indirect case map(Schema)
        indirect case array(Schema, ListType)
        case string, integer, number, boolean
    }

    /// How server-side apply merges a list.
    package enum ListType: Sendable, Hashable {
        case atomic, set
        case map(keys: [String])
    }

    package struct Property: Sendable, Hashable {
        package var name: String
        package var schema: Schema
        package var isRequired: Bool

        package static func required(_ name: String, _ schema: Schema) -> Self {
            .init(name: name, schema: schema, isRequired: true)
        }

        package static func field(_ name: String, _ schema: Schema) -> Self {
            .init(name: name, schema: schema, isRequired: false)
        }
    }

    package var shape: Shape
    package var description: String
    /// Of numbers, durations and quantities; the published description ends with it.
    package var unit: Unit?
    /// Set by the API server where the field is absent.
    package var defaultValue: JSONValue?
    /// Taken by Heddle where the field is absent, and not published: for status, which the API server must not fill.
    package var absentValue: JSONValue?
    package var allowed: [String] = []
    package var format: String?
    package var pattern: Pattern?
    package var minimum: Double?
    package var maximum: Double?
    package var minLength: Int?
    package var maxLength: Int?
    package var minItems: Int?
    package var maxItems: Int?
    package var rules: [Rule] = []
    /// Of an object: server-side apply replaces it as a whole.
    package var isAtomic = false
    /// Of an object: members that the schema does not name are kept.
    package var keepsUnknown = false

    package init(_ shape: Shape, _ description: String) {
        self.shape = shape
        self.description = description
    }
}

/// A regular expression with the words that tell a person what it wants.
package struct Pattern: Sendable, Hashable {
    package var expression: String
    /// Completes "must be ...".
    package var meaning: String

    package init(_ expression: String, meaning: String) {
        self.expression = expression
        self.meaning = meaning
    }

    package static let duration = Pattern(
        #"^(0|([0-9]+(\.[0-9]+)?(ms|s|m|h))+)$"#, meaning: "a duration such as 500ms, 30s, 5m or 168h")
    package static let quantity = Pattern(
        #"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"#, meaning: "a quantity such as 100m, 0.5 or 150Mi")
    package static let dnsLabel = Pattern(
        #"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"#, meaning: "a name of lower-case letters, digits and dashes")
    package static let dnsName = Pattern(
        #"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"#,
        meaning: "a DNS name of lower-case letters, digits, dashes and dots")
    package static let hostPort = Pattern(#"^[^:/\s]+:[0-9]{1,5}$"#, meaning: "host:port, such as tempo.tracing:4317")
    package static let httpURL = Pattern(
        #"^https?://[^\s]+$"#, meaning: "an http or https URL, such as http://prometheus.monitoring:9090")
    package static let day = Pattern(#"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"#, meaning: "a day such as 2026-12-31")
}

// The words that declarations are written in.
extension Schema {
    package static func object(_ description: String, _ properties: [Property], rules: [Rule] = []) -> Schema {
        var schema = Schema(.object(properties), description)
        schema.rules = rules
        return schema
    }

    package static func string(
        _ description: String, pattern: Pattern? = nil, minLength: Int? = nil, maxLength: Int? = nil,
        default: String? = nil, rules: [Rule] = []
    ) -> Schema {
        var schema = Schema(.string, description)
        schema.pattern = pattern
        schema.minLength = minLength
        schema.maxLength = maxLength
        schema.defaultValue = `default`.map(JSONValue.string)
        schema.rules = rules
        return schema
    }

    /// A string out of an enum's raw values.
    package static func choice<Choice: RawRepresentable<String>>(
        _ description: String, of choices: [Choice], default: Choice? = nil
    ) -> Schema {
        var schema = Schema(.string, description)
        schema.allowed = choices.map(\.rawValue)
        schema.defaultValue = (`default`?.rawValue).map(JSONValue.string)
        return schema
    }

    package static func integer(
        _ description: String, unit: Unit, minimum: Int? = nil, maximum: Int? = nil, default: Int? = nil
    ) -> Schema {
        var schema = Schema(.integer, description)
        schema.unit = unit
        schema.format = "int64"
        schema.minimum = minimum.map(Double.init)
        schema.maximum = maximum.map(Double.init)
        schema.defaultValue = `default`.map(JSONValue.int)
        return schema
    }

    package static func number(
        _ description: String, unit: Unit, minimum: Double? = nil, maximum: Double? = nil, default: Double? = nil
    ) -> Schema {
        var schema = Schema(.number, description)
        schema.unit = unit
        schema.minimum = minimum
        schema.maximum = maximum
        schema.defaultValue = `default`.map { Int(exactly: $0).map(JSONValue.int) ?? .double($0) }
        return schema
    }

    package static func boolean(_ description: String, default: Bool? = nil) -> Schema {
        var schema = Schema(.boolean, description)
        schema.defaultValue = `default`.map(JSONValue.bool)
        return schema
    }

    package static func duration(
        _ description: String, default: GoDuration? = nil, rules: [Rule] = []
    ) -> Schema {
        var schema = string(description, pattern: .duration, maxLength: 32, default: `default`?.description)
        schema.unit = .duration
        schema.rules = rules
        return schema
    }

    package static func quantity(_ description: String, unit: Unit, default: Quantity? = nil) -> Schema {
        var schema = string(description, pattern: .quantity, maxLength: 32, default: `default`?.text)
        schema.unit = unit
        return schema
    }

    /// A day such as 2026-12-31.
    package static func day(_ description: String) -> Schema {
        var schema = string(description, pattern: .day, maxLength: 10)
        schema.format = "date"
        schema.unit = .day
        return schema
    }

    /// RFC 3339.
    package static func time(_ description: String) -> Schema {
        var schema = Schema(.string, description)
        schema.format = "date-time"
        schema.unit = .instant
        return schema
    }

    package static func list(
        _ description: String, of items: Schema, type: ListType = .atomic, minItems: Int? = nil, maxItems: Int? = nil,
        rules: [Rule] = []
    ) -> Schema {
        var schema = Schema(.array(items, type), description)
        schema.minItems = minItems
        schema.maxItems = maxItems
        schema.rules = rules
        return schema
    }

    /// An object of which the schema knows only a part.
    package static func open(_ description: String, _ properties: [Property] = []) -> Schema {
        var schema = Schema(.object(properties), description)
        schema.keepsUnknown = true
        return schema
    }

    package static func map(_ description: String, of values: Schema) -> Schema { Schema(.map(values), description) }

    /// The schema with a default that the API server sets.
    package func defaulting(to value: JSONValue) -> Schema {
        var schema = self
        schema.defaultValue = value
        return schema
    }

    /// The schema with a value that Heddle assumes where the field is absent.
    package func absent(_ value: JSONValue) -> Schema {
        var schema = self
        schema.absentValue = value
        return schema
    }

    /// The schema with another description, for a type that is used in several places.
    package func described(_ description: String) -> Schema {
        var schema = self
        schema.description = description
        return schema
    }
}
