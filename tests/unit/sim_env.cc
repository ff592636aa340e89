#include "sim_env.h"

#include <leveldb/env.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#define _Noreturn [[noreturn]]
extern "C" {
#include "io/io.h"
}

/* The layout that LevelDB's C interface has for it. */
struct leveldb_env_t {
    leveldb::Env *rep;
    bool is_default;
};

namespace
{

using leveldb::Slice;
using leveldb::Status;

Status status_of(int error, const std::string &path)
{
    if (error == 0) {
        return Status::OK();
    }
    if (error == -ENOENT) {
        return Status::NotFound(path, std::strerror(-error));
    }
    return Status::IOError(path, std::strerror(-error));
}

class Reader
{
  public:
    Reader(io_file *file, const std::string &path) : file_(file), path_(path)
    {
    }
    ~Reader()
    {
        io_close(file_);
    }
    /* Up to `n` bytes: fewer at the end of the file. */
    Status read(uint64_t offset, size_t n, Slice *result, char *scratch) const
    {
        uint64_t size = 0;
        int error = io_size(file_, &size);

        if (error == 0 && offset >= size) {
            n = 0;
        } else if (error == 0 && n > size - offset) {
            n = size - offset;
        }
        if (error == 0) {
            error = io_pread(file_, scratch, n, offset);
        }
        *result = Slice(scratch, error == 0 ? n : 0);
        return status_of(error, path_);
    }

  private:
    io_file *file_;
    std::string path_;
};

class SimSequentialFile : public leveldb::SequentialFile
{
  public:
    SimSequentialFile(io_file *file, const std::string &path)
        : reader_(file, path)
    {
    }
    Status Read(size_t n, Slice *result, char *scratch) override
    {
        Status status = reader_.read(offset_, n, result, scratch);

        offset_ += result->size();
        return status;
    }
    Status Skip(uint64_t n) override
    {
        offset_ += n;
        return Status::OK();
    }

  private:
    Reader reader_;
    uint64_t offset_ = 0;
};

class SimRandomAccessFile : public leveldb::RandomAccessFile
{
  public:
    SimRandomAccessFile(io_file *file, const std::string &path)
        : reader_(file, path)
    {
    }
    Status Read(uint64_t offset, size_t n, Slice *result,
                char *scratch) const override
    {
        return reader_.read(offset, n, result, scratch);
    }

  private:
    Reader reader_;
};

class SimWritableFile : public leveldb::WritableFile
{
  public:
    SimWritableFile(io *io, io_file *file, const std::string &path)
        : io_(io), file_(file), path_(path)
    {
    }
    ~SimWritableFile() override
    {
        Close();
    }
    Status Append(const Slice &data) override
    {
        int error = io_pwrite(file_, data.data(), data.size(), size_);

        size_ += data.size();
        return status_of(error, path_);
    }
    Status Close() override
    {
        io_close(file_);
        file_ = nullptr;
        return Status::OK();
    }
    Status Flush() override
    {
        return Status::OK();
    }
    Status Sync() override
    {
        int error = path_.find("/MANIFEST") != std::string::npos
                        ? io_sync_parent(io_, path_.c_str())
                        : 0;

        return status_of(error != 0 ? error : io_fdatasync(file_), path_);
    }

  private:
    io *io_;
    io_file *file_;
    std::string path_;
    uint64_t size_ = 0;
};

class SimLock : public leveldb::FileLock
{
  public:
    explicit SimLock(io_file *file) : file_(file)
    {
    }
    ~SimLock() override
    {
        io_close(file_);
    }

  private:
    io_file *file_;
};

/* Threads and time are the system's. */
class SimEnv : public leveldb::EnvWrapper
{
  public:
    explicit SimEnv(io *io) : EnvWrapper(leveldb::Env::Default()), io_(io)
    {
    }

    Status NewSequentialFile(const std::string &path,
                             leveldb::SequentialFile **result) override
    {
        return open<SimSequentialFile>(path, result);
    }
    Status NewRandomAccessFile(const std::string &path,
                               leveldb::RandomAccessFile **result) override
    {
        return open<SimRandomAccessFile>(path, result);
    }
    Status NewWritableFile(const std::string &path,
                           leveldb::WritableFile **result) override
    {
        if (refuse_logs && path.find(".log") != std::string::npos) {
            *result = nullptr;
            return Status::IOError(path, "refused");
        }
        io_file *file = nullptr;
        int error = io_unlink(io_, path.c_str());

        if (error == 0 || error == -ENOENT) {
            error = io_open(io_, path.c_str(), IO_WRITE | IO_CREATE, &file);
        }
        *result = error == 0 ? new SimWritableFile(io_, file, path) : nullptr;
        return status_of(error, path);
    }
    std::atomic<bool> refuse_logs{false};

    Status NewAppendableFile(const std::string &path,
                             leveldb::WritableFile **result) override
    {
        *result = nullptr;
        return Status::NotSupported(path);
    }
    bool FileExists(const std::string &path) override
    {
        struct io_node node;

        return io_node_at(io_, path.c_str(), &node) == 0;
    }
    Status GetChildren(const std::string &directory,
                       std::vector<std::string> *names) override
    {
        names->clear();
        return status_of(io_list(io_, directory.c_str(), take_name, names),
                         directory);
    }
    Status RemoveFile(const std::string &path) override
    {
        return status_of(io_unlink(io_, path.c_str()), path);
    }
    Status CreateDir(const std::string &path) override
    {
        return status_of(io_mkdir(io_, path.c_str()), path);
    }
    Status RemoveDir(const std::string &path) override
    {
        return Status::NotSupported(path);
    }
    Status GetFileSize(const std::string &path, uint64_t *size) override
    {
        io_file *file;
        int error = io_open(io_, path.c_str(), IO_READ, &file);

        if (error == 0) {
            error = io_size(file, size);
            io_close(file);
        }
        return status_of(error, path);
    }
    Status RenameFile(const std::string &from, const std::string &to) override
    {
        return status_of(io_rename(io_, from.c_str(), to.c_str()), from);
    }
    Status LockFile(const std::string &path, leveldb::FileLock **lock) override
    {
        io_file *file = nullptr;
        int error = io_open(io_, path.c_str(), IO_WRITE, &file);

        if (error == -ENOENT) {
            error = io_open(io_, path.c_str(), IO_WRITE | IO_CREATE, &file);
        }
        if (error == 0) {
            error = io_lock(file);
            if (error != 0) {
                io_close(file);
            }
        }
        *lock = error == 0 ? new SimLock(file) : nullptr;
        return status_of(error, path);
    }
    Status UnlockFile(leveldb::FileLock *lock) override
    {
        delete lock;
        return Status::OK();
    }
    Status NewLogger(const std::string &path, leveldb::Logger **logger) override
    {
        *logger = nullptr;
        return Status::NotSupported(path);
    }

  private:
    template <class File, class Base>
    Status open(const std::string &path, Base **result)
    {
        io_file *file = nullptr;
        int error = io_open(io_, path.c_str(), IO_READ, &file);

        *result = error == 0 ? new File(file, path) : nullptr;
        return status_of(error, path);
    }
    static int take_name(void *names, const char *name)
    {
        static_cast<std::vector<std::string> *>(names)->push_back(name);
        return 0;
    }

    io *io_;
};

} // namespace

struct leveldb_env_t *sim_env_new(struct io *io)
{
    return new leveldb_env_t{new SimEnv(io), false};
}

void sim_env_free(struct leveldb_env_t *env)
{
    delete env->rep;
    delete env;
}

void sim_env_refuse_logs(struct leveldb_env_t *env, int on)
{
    static_cast<SimEnv *>(env->rep)->refuse_logs = on != 0;
}
