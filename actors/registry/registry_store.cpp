#include "actors/registry/registry_store.hpp"

#include <utility>

#include <sqlite3.h>

namespace troupe {
namespace {

class memory_store final : public registry_store {
 public:
  result<std::map<std::string, member_record>> load() override { return records_; }
  result<> save(const std::string& name, const member_record& record) override {
    records_[name] = record;
    return {};
  }

 private:
  std::map<std::string, member_record> records_;
};

constexpr int application_id = 0x54525031;  // "TRP1"

struct closer {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using database = std::unique_ptr<sqlite3, closer>;
using statement = std::unique_ptr<sqlite3_stmt, closer>;

error sqlite_error(sqlite3* db, const std::string& what) {
  const int code = db == nullptr ? SQLITE_NOMEM : sqlite3_errcode(db);
  const bool broken = code == SQLITE_NOTADB || code == SQLITE_CORRUPT;
  return make_error(broken ? errc::corrupt : errc::unavailable,
                    what + ": " + (db == nullptr ? "no memory" : sqlite3_errmsg(db)) + ".");
}

class sqlite_store final : public registry_store {
 public:
  sqlite_store(database db, std::string file) : db_(std::move(db)), file_(std::move(file)) {}

  result<> prepare() {
    // A torn write must cost the last change at most, and a reader (an operator's sqlite3) must not block the cluster.
    if (auto set = run("PRAGMA journal_mode=WAL"); !set) return set;
    if (auto set = run("PRAGMA busy_timeout=1000"); !set) return set;
    const auto owner = read_number("PRAGMA application_id");
    if (!owner) return owner.error();
    const auto tables = read_number("SELECT count(*) FROM sqlite_master");
    if (!tables) return tables.error();
    if (*owner != application_id && *tables > 0)
      return make_error(errc::corrupt,
                        file_ + " is the database of another program; name a file of the cluster's own.");
    if (auto set = run("PRAGMA application_id=" + std::to_string(application_id)); !set) return set;
    return run(
        "CREATE TABLE IF NOT EXISTS member (name TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, "
        "drained INTEGER NOT NULL) STRICT");
  }

  result<std::map<std::string, member_record>> load() override {
    const auto query = compile("SELECT name, number, drained FROM member");
    if (!query) return sqlite_error(db_.get(), "cannot read " + file_);
    std::map<std::string, member_record> records;
    int step = 0;
    while ((step = sqlite3_step(query.get())) == SQLITE_ROW) {
      const auto* const name = reinterpret_cast<const char*>(sqlite3_column_text(query.get(), 0));
      records[name] = {static_cast<std::uint32_t>(sqlite3_column_int64(query.get(), 1)),
                       sqlite3_column_int(query.get(), 2) != 0};
    }
    if (step != SQLITE_DONE) return sqlite_error(db_.get(), "cannot read " + file_);
    return records;
  }

  result<> save(const std::string& name, const member_record& record) override {
    const auto query = compile("INSERT OR REPLACE INTO member (name, number, drained) VALUES (?, ?, ?)");
    if (!query) return sqlite_error(db_.get(), "cannot write " + file_);
    sqlite3_bind_text(query.get(), 1, name.data(), static_cast<int>(name.size()), SQLITE_TRANSIENT);
    sqlite3_bind_int64(query.get(), 2, record.number);
    sqlite3_bind_int(query.get(), 3, record.drained ? 1 : 0);
    if (sqlite3_step(query.get()) != SQLITE_DONE) return sqlite_error(db_.get(), "cannot write " + file_);
    return {};
  }

 private:
  statement compile(const std::string& sql) {
    sqlite3_stmt* made = nullptr;
    sqlite3_prepare_v2(db_.get(), sql.c_str(), -1, &made, nullptr);
    return statement(made);
  }
  result<> run(const std::string& sql) {
    if (sqlite3_exec(db_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return {};
    return sqlite_error(db_.get(), "cannot set up " + file_);
  }
  result<std::int64_t> read_number(const std::string& sql) {
    const auto query = compile(sql);
    if (!query || sqlite3_step(query.get()) != SQLITE_ROW) return sqlite_error(db_.get(), "cannot read " + file_);
    return static_cast<std::int64_t>(sqlite3_column_int64(query.get(), 0));
  }

  database db_;
  std::string file_;
};

}  // namespace

std::unique_ptr<registry_store> make_memory_registry_store() {
  return std::make_unique<memory_store>();
}

result<std::unique_ptr<registry_store>> open_sqlite_registry_store(const std::filesystem::path& file) {
  sqlite3* raw = nullptr;
  const int opened =
      sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
  database db(raw);
  if (opened != SQLITE_OK) return sqlite_error(db.get(), "cannot open " + file.string());
  auto store = std::make_unique<sqlite_store>(std::move(db), file.string());
  if (auto prepared = store->prepare(); !prepared) return prepared.error();
  return std::unique_ptr<registry_store>(std::move(store));
}

}  // namespace troupe
