-- Pairs of records that share a key, and what the shared keys are worth. A tax id says "the same company". A phone, an
-- e-mail or a name may be shared by two companies, so a name counts together with a phone or an e-mail, or alone
-- between two sources; whatever else is shared only asks for a closer look (no method).
with keys as (

    select * from {{ ref('int_identity_keys') }}

),

-- A star instead of all pairs: every record of a tax id with the first one.
tax_firsts as (

    select
        tax_key,
        min(record_id) as first_record_id
    from keys
    where tax_key is not null
    group by tax_key

),

sharing as (

    select
        tax_firsts.first_record_id as left_record_id,
        keys.record_id as right_record_id
    from keys
    inner join tax_firsts
        on keys.tax_key = tax_firsts.tax_key
    where keys.record_id <> tax_firsts.first_record_id
    {%- for key in ['name_key', 'phone_key', 'email_key'] %}
    union
    select
        keys.record_id as left_record_id,
        others.record_id as right_record_id
    from keys
    inner join keys as others
        on keys.{{ key }} = others.{{ key }}
    where keys.record_id < others.record_id
    {%- endfor %}

),

compared as (

    select
        sharing.left_record_id,
        sharing.right_record_id,
        lefts.source = rights.source as is_same_source,
        coalesce(lefts.tax_key = rights.tax_key, false) as is_tax_equal,
        coalesce(lefts.tax_key <> rights.tax_key, false) as is_tax_different,
        coalesce(lefts.name_key = rights.name_key, false) as is_name_equal,
        coalesce(lefts.phone_key = rights.phone_key, false) as is_phone_equal,
        coalesce(lefts.email_key = rights.email_key, false) as is_email_equal,
        coalesce(lefts.region <> rights.region, false) as is_region_different
    from sharing
    inner join keys as lefts
        on sharing.left_record_id = lefts.record_id
    inner join keys as rights
        on sharing.right_record_id = rights.record_id

)

select
    left_record_id,
    right_record_id,
    is_same_source,
    is_tax_different,
    is_tax_equal,
    is_name_equal,
    is_phone_equal,
    is_email_equal,
    case
        when is_tax_equal then 'tax_id'
        when is_tax_different then null
        when is_name_equal and is_phone_equal then 'phone'
        when is_name_equal and is_email_equal then 'email'
        when is_name_equal and not is_same_source and not is_region_different then 'name'
    end as method
from compared
