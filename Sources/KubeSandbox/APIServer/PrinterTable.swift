import FoundationEssentials
import KubeCore

/// A column of `kubectl get`.
struct PrinterColumn: Sendable {
    var name: String
    /// OpenAPI type: `string`, `integer`, `date`, ...
    var type = "string"
    var format = ""
    var description = ""
    /// Above 0: only with `-o wide`.
    var priority = 0
    var cell: @Sendable (JSONValue, Date) -> JSONValue

    init(
        _ name: String, type: String = "string", format: String = "", wide: Bool = false,
        _ cell: @escaping @Sendable (JSONValue, Date) -> JSONValue
    ) {
        self.name = name
        self.type = type
        self.format = format
        priority = wide ? 1 : 0
        self.cell = cell
    }
}

/// `meta.k8s.io/v1 Table`: how the server lays out objects for people.
enum PrinterTable {
    enum Include: String, Sendable {
        case none = "None"
        case metadata = "Metadata"
        case object = "Object"
    }

    static func table(
        _ objects: [JSONValue], _ type: ResourceType, metadata: JSONValue, include: Include, now: Date,
        headers: Bool = true
    ) -> JSONValue {
        let columns = columns(of: type)
        return [
            "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "columnDefinitions": headers ? .array(columns.map(definition)) : .null,
            "rows": .array(objects.map { row($0, columns, include, now) }),
        ]
    }

    private static func definition(_ column: PrinterColumn) -> JSONValue {
        [
            "name": .string(column.name), "type": .string(column.type), "format": .string(column.format),
            "description": .string(column.description), "priority": .int(column.priority),
        ]
    }

    private static func row(_ object: JSONValue, _ columns: [PrinterColumn], _ include: Include, _ now: Date)
        -> JSONValue
    {
        var row: JSONValue = ["cells": .array(columns.map { $0.cell(object, now) })]
        switch include {
        case .none: break
        case .metadata: row["object"] = partial(object)
        case .object: row["object"] = object
        }
        return row
    }

    /// Only what every object has: `PartialObjectMetadata`.
    static func partial(_ object: JSONValue) -> JSONValue {
        ["kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] ?? [:]]
    }

    static func columns(of type: ResourceType) -> [PrinterColumn] {
        let name = PrinterColumn("Name", format: "name") { object, _ in object[path: "metadata", "name"] ?? "" }
        if let custom = type.custom {
            let own = custom.columns.map(column)
            return [name] + (own.isEmpty ? [age] : own)
        }
        return [name] + PrinterColumns.columns(of: type) + PrinterColumns.trailing(of: type)
    }

    static let age = PrinterColumn("Age") { object, now in
        .string(age(object[path: "metadata", "creationTimestamp"]?.string, now))
    }

    static func age(_ timestamp: String?, _ now: Date) -> String {
        guard let date = timestamp.flatMap(KubeTime.parse) else { return "<unknown>" }
        return HumanDuration.text(seconds: Int(now.timeIntervalSince(date)))
    }

    /// A column that a CustomResourceDefinition declares.
    private static func column(_ json: JSONValue) -> PrinterColumn {
        let type = json["type"]?.string ?? "string"
        let path = JSONPath(json["jsonPath"]?.string ?? "")
        var column = PrinterColumn(json["name"]?.string ?? "", type: type) { object, now in
            guard let value = path?.values(in: object).first, !value.isNull else { return .null }
            switch type {
            case "date": return .string(age(value.string, now))
            case "integer": return value.int.map(JSONValue.int) ?? .null
            case "number": return value.double.map(JSONValue.double) ?? .null
            case "boolean": return value.bool.map(JSONValue.bool) ?? .null
            default: return .string(value.string ?? value.serialized())
            }
        }
        column.format = json["format"]?.string ?? ""
        column.description = json["description"]?.string ?? ""
        column.priority = json["priority"]?.int ?? 0
        return column
    }
}

/// Durations as `kubectl` prints them: `45s`, `3m2s`, `5h`, `2d3h`, `400d`.
enum HumanDuration {
    static func text(seconds: Int) -> String {
        if seconds < -1 { return "<invalid>" }
        if seconds < 0 { return "0s" }
        let minutes = seconds / 60
        let hours = minutes / 60
        let days = hours / 24
        func pair(_ a: Int, _ unit: String, _ b: Int, _ smaller: String) -> String {
            b == 0 ? "\(a)\(unit)" : "\(a)\(unit)\(b)\(smaller)"
        }
        if seconds < 120 { return "\(seconds)s" }
        if minutes < 10 { return pair(minutes, "m", seconds % 60, "s") }
        if minutes < 180 { return "\(minutes)m" }
        if hours < 8 { return pair(hours, "h", minutes % 60, "m") }
        if hours < 48 { return "\(hours)h" }
        if hours < 192 { return pair(days, "d", hours % 24, "h") }
        if days < 730 { return "\(days)d" }
        let years = days / 365
        return years < 8 ? pair(years, "y", days % 365, "d") : "\(years)y"
    }
}
