"""The functional core: values in, values out; nothing here touches the process or pytest."""
